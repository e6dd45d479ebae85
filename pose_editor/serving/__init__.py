"""What a public server needs around the page's events: log, limits, temporary files, a lent GPU, and workarounds for Gradio."""
