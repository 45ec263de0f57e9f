"""Command line: each module parses a command's arguments, calls `filmgate.app` and prints."""
