"""The queries of the platform, one file each, and the table of all queries."""
