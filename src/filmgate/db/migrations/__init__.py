"""Migrations: one SQL file each, which Alembic applies by ascending number."""

HEAD = "0007"
"""The newest revision; a test compares it with the files."""
