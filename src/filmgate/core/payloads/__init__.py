"""Payload contracts: what the inside of each type of artifact looks like, version by version."""
