"""Pipelines hold the domain: for each, the plan and its stages as functions of values."""
