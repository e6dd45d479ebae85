"""Training and measuring the fashion parser."""
