"""The report of a quality manifest: a page that opens without a server."""
