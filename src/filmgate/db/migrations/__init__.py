"""Migrations of the platform, which Alembic applies by ascending number."""

HEAD = "0009"
"""The newest revision of `versions`; a test compares it with the files. The first one, 0008,
creates all tables in the schema of the installation, or moves them there."""

EARLIER_HEAD = "0007"
"""The newest revision of `before_0008`: migrations that are applied only to databases of earlier
releases, whose tables are in several schemas."""
