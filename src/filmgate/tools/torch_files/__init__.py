"""Torch's `.pt` files, read and written without torch."""
