"""Payload contracts: the model of each artifact type and version."""
