"""Executors: do the same work on many items, in this process, in a process pool, or on Ray."""
