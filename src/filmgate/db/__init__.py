"""PostgreSQL adapters: connections, migrations, SQL queries, stores and the embedded server."""
