"""Training pairs."""
