"""What is decided about books: pure functions of lines, sections and words."""
