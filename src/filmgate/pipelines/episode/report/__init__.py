"""The report of an episode run: what stands in it, and how it looks."""
