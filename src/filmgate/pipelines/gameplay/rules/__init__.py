"""What is decided about sessions, of values alone."""
