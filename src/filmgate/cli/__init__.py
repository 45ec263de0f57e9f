"""The command line: a file per command that parses, calls the System, and prints."""
