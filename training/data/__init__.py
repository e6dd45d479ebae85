"""Pairs to train on."""
