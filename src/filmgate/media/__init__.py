"""Media is the exact vocabulary of time and space."""
