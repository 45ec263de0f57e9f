"""All tables in one schema: created there, or moved from the schemas of an earlier release."""

from pathlib import Path

from alembic import context, op

revision = "0008"
down_revision = None


def upgrade() -> None:
    """Create or move the tables, then create the views under the names that products read."""
    earlier = context.config.attributes["earlier_schema"] or ""
    op.get_bind().exec_driver_sql(
        "select set_config('filmgate.earlier_schema', %(name)s, true)", {"name": earlier}
    )
    for name in ("move" if earlier else "tables", "comments", "views"):
        text = Path(__file__).with_name(f"0008_{name}.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(text.replace("%", "%%"))  # no placeholders
