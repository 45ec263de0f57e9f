"""Services that the command line and the HTTP API call, wired from settings and adapters."""
