"""Pipelines: the plan of each, and its stages as functions of values."""
