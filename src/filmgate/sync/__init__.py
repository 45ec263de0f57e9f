"""Exchange of finished runs between a store and a database: publish and ingest."""
