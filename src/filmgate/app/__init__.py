"""Application services for the command line and the HTTP API; they connect engine and adapters."""
