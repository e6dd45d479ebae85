"""Attacks on a running page, as strangers would try them; see ``tests/attack/__main__.py``."""
