"""The PDF report of an episode run: its contents, advice and template."""
