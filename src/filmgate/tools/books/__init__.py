"""Read books of several formats line by line, each in a sandboxed process."""
