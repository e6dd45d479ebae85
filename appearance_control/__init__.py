"""Garment swap: which of a person's neural textures belong to a garment, and how they are mixed with another person's."""
