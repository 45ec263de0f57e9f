"""Migrations of the platform, which Alembic applies by ascending number.

`versions` starts at 0008, which creates all tables in the schema of the installation, or moves them
there. `before_0008` has the earlier migrations: they are applied only to databases of earlier
releases, whose tables are in several schemas.
"""

HEAD = "0008"
"""The newest revision; a test compares it with the files."""

EARLIER_HEAD = "0007"
"""The newest revision of `before_0008`."""
