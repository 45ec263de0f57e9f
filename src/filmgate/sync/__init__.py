"""Publish finished runs, and ingest published ones: the code that needs store and database."""
