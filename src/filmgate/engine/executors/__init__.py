"""Executors, which do the same work on many items."""
