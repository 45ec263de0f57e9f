"""Migrations: one SQL file each, applied in order by Alembic."""

HEAD = "0003"
"""The newest revision; a test holds it against the folder."""
