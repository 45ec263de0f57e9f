"""The engine executes a plan: check the gate, do the work, validate, commit, report."""
