"""The report of a quality manifest: a self-contained HTML page."""
