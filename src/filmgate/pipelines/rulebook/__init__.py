"""The rulebook pipeline: six passes from book files to a searchable corpus with page numbers."""
