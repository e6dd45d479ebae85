"""What a public server needs around the page's events: log, limits, temporary files, and a lent GPU."""
