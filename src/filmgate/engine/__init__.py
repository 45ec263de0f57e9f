"""Execute a plan: check gates, run stages and commit their files."""
