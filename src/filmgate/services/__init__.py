"""Use cases that the faces call: runs, queries, people, access, models, publish and ingest."""
