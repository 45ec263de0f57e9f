"""Execute a plan: check each stage's gate, do its work, validate its files, commit and report."""
