"""Command line: each module parses a command's arguments, calls a service and prints."""
