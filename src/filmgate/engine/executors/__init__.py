"""Executors do the same work on many items: in this process, in a pool of others, on Ray."""
