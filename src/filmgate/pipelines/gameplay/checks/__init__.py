"""The checks: each a function of a session with a typed result, found by being in here."""
