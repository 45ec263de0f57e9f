"""Sync takes finished runs in: what needs both the store and the database."""
