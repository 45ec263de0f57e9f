"""Migrations: one SQL file each, applied in order by Alembic."""

HEAD = "0005"
"""The newest revision; a test holds it against the folder."""
