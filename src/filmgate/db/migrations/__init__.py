"""Migrations: one SQL file each, applied in order by Alembic."""

HEAD = "0006"
"""The newest revision; a test holds it against the folder."""
