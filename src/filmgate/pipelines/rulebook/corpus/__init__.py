"""The corpus of rulebooks in the database: index, storage and search."""
