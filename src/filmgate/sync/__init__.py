"""Sync hands finished runs on and takes them in: what needs both the store and the database."""
