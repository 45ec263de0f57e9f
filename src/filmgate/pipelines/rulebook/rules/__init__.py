"""Rules that interpret books: pure functions of lines, sections and words."""
