"""The rulebook pipeline: six passes from book files to a corpus that answers with page numbers."""
