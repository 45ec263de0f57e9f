"""The schema is what the migrations make."""

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory

from filmgate.db.connection import connected
from filmgate.db.migrations import HEAD
from filmgate.db.queries import queries


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    config = Config()
    config.set_main_option("script_location", "filmgate.db:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_second_connection_finds_the_schema_up_to_date(database_url: str) -> None:
    for _ in range(2):
        with connected(database_url) as connection:
            found = connection.execute("select version_num from alembic_version").fetchall()
            assert found == [(HEAD,)]


def test_serving_reads_an_index_and_no_whole_table(database_url: str) -> None:
    """With enough rows to matter, the planner goes by time, not through everything."""
    with connected(database_url) as connection:
        fill(connection)
        keys = {"asset_key": 1, "run_key": 1, "type_key": 1, "from_ms": 500_000}
        for name in ("jump_next", "jump_prev"):
            plan = connection.execute("explain " + queries("serve")[name], keys).fetchall()
            text = "\n".join(row[0] for row in plan)
            assert "Index" in text
            assert "Seq Scan" not in text


def fill(connection: psycopg.Connection) -> None:
    digest = "sha256:" + "0" * 64
    connection.execute(
        f"""insert into assets (asset_id, input_hash, uri, size_bytes, media)
            values ('film', '{digest}', 'file:///x', 1, '{{}}');
            insert into runs (asset_key, run_id, producer, pipeline, model_profile, config_hash,
                              input_hash, status, revision, created_at)
            values (1, 'r', 'p', 'episode', 'fast', '{digest}', '{digest}', 'completed', 1, now());
            insert into artifact_types (artifact_type) values ('scene');
            insert into artifact_files values
                (1, 1, 1, 'scenes', 'scenes.jsonl', repeat('0', 64), 1, 'p', '1', null, now());
            insert into artifact_rows
            select 1, 1, 1, n, n * 100, n * 100 + 50, '{{}}' from generate_series(0, 9999) n;
            analyze artifact_rows"""
    )
