"""Publish finished runs, and ingest published ones; this code uses both store and database."""
