"""Exact time and space in media, as values."""
