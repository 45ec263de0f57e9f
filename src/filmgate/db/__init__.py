"""The database is PostgreSQL: embedded or a server, its migrations, its SQL, its answers."""
