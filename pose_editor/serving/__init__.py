"""What a public page needs around its events: log, limits, temporary files, a lent GPU, and what Gradio has to be helped with."""
