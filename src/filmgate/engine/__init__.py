"""The engine runs a plan: ask the gate, do the work, validate, commit, report."""
