"""Adapters of third-party programs and models, as plain functions and small classes."""
