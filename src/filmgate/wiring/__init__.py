"""Composition root: constructs adapters and plug-in registries from the settings."""
