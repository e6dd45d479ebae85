"""Garment swap: which of a person's neural textures belong to a garment, and blending them with another person's."""
