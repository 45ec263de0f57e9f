"""Composition root: settings, plug-in registries, construction of adapters, logging."""
