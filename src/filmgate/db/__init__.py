"""PostgreSQL adapters: connections, SQL and the embedded server."""
