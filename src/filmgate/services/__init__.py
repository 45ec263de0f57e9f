"""Use cases that commands, HTTP endpoints and programs call."""
