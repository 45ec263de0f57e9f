"""Adapters of third-party libraries as plain functions and small classes."""
