"""Alembic's entry point: runs the migrations over the connection it is handed."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    transactional_ddl=True,
    version_table_schema=attributes["version_table_schema"],
)
with context.begin_transaction():
    context.run_migrations()
