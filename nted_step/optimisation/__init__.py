"""The same function, faster: what inference changes about a trained network."""
