"""PostgreSQL, embedded or a server: connections, migrations, SQL queries and stores."""
