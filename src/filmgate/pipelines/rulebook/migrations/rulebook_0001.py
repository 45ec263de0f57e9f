"""The tables of the corpus. Databases of earlier releases have them already: they stay."""

from pathlib import Path

from alembic import op

revision = "rulebook_0001"
down_revision = None
branch_labels = ("rulebook",)


def upgrade() -> None:
    """Create the tables, unless the platform's migration has moved them here."""
    query = "select to_regclass(quote_ident(current_schema()) || '.corpus_books') is null"
    if op.get_bind().exec_driver_sql(query).scalar():
        _run_file("rulebook_0001.sql")
    _run_file("rulebook_0001_comments.sql")


def _run_file(name: str) -> None:
    op.get_bind().exec_driver_sql(Path(__file__).with_name(name).read_text(encoding="utf-8"))
