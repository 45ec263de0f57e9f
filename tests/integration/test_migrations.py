"""The schema is what the migrations make."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from filmgate.core.jump_filters import JumpFilters
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.core.selection import Selection
from filmgate.db.connection import connected
from filmgate.db.deliveries import receipts
from filmgate.db.migrations import HEAD
from filmgate.db.projections import rebuild
from filmgate.db.serving import Serving
from filmgate.db.sessions import Parameters, Session, Statement
from support.archive import face, on_screen, place, said, scene, seen, shown, take_in
from support.database import FILM

SHA = "sha256:" + "0" * 64


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    config = Config()
    config.set_main_option("script_location", "filmgate.db:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_second_connection_finds_the_schema_up_to_date(bare_database_url: str) -> None:
    for _ in range(2):
        with connected(bare_database_url) as connection:
            found = connection.execute("select version_num from alembic_version").fetchall()
            assert found == [(HEAD,)]


def test_a_database_of_the_first_schema_is_brought_up_to_date_with_what_it_holds(
    bare_database_url: str,
) -> None:
    """What an earlier release took in is served as before, and found by its words."""
    upgrade(bare_database_url, "0001")
    with psycopg.connect(bare_database_url) as old:
        old.execute(FIRST)
    with connected(bare_database_url) as connection:
        serving = Serving(connection)
        assert len(serving.artifacts(FILM).artifacts) == 3
        (hit,) = serving.search("gates").hits
        assert hit.artifact.artifact_id == "film:r:transcript.segment:0"
        before = [connection.execute(f"select * from {t}").fetchall() for t in DERIVED]
        rebuild(connection, BUILT_IN.projections)
        assert [connection.execute(f"select * from {t}").fetchall() for t in DERIVED] == before


DERIVED = ("transcript_fts", "scene_ranges", "served", "served_words")
FIRST = f"""
    insert into assets (asset_id, input_hash, uri, size_bytes, media)
    values ('film', '{SHA}', 'file:///x', 1, '{{}}');
    insert into runs (asset_key, run_id, producer, pipeline, model_profile, config_hash, input_hash,
                      status, revision, created_at, finished_at)
    values (1, 'r', 'p', 'episode', 'fast', '{SHA}', '{SHA}', 'completed', 1, now(), now());
    insert into artifact_types (artifact_type) values ('scene'), ('transcript.segment');
    insert into artifact_files values
        (1, 1, 1, 'scenes', 'scenes.jsonl', repeat('0', 64), 1, 'p', '1', null, now()),
        (1, 1, 2, 'transcript', 'transcript.jsonl', repeat('0', 64), 1, 'p', '1', null, now());
    insert into artifact_rows values
        (1, 1, 1, 0, 0, 10, '{{"scene_index": 0}}'), (1, 1, 1, 1, 10, 20, '{{"scene_index": 1}}'),
        (1, 1, 2, 0, 5, 9, '{{"text": "the gate", "language": "en"}}');
"""


def test_screen_time_that_the_third_schema_held_is_served_as_before(bare_database_url: str) -> None:
    upgrade(bare_database_url, "0003")
    with psycopg.connect(bare_database_url) as old:
        old.execute(FIRST.replace("insert into artifact_files values", FILES))
        old.execute(THIRD)
    with connected(bare_database_url) as connection:
        serving = Serving(connection)
        (person,) = serving.screentime(FILM).people
        assert (person.onscreen_ms, person.speaking_ms, person.identity_id) == (1000, None, "c1")
        runs = connection.execute("select run_id, source from screenalytics.runs").fetchall()
        assert runs == [("r", "before 0004")]
        (receipt,) = receipts(connection, "film", "r").receipts
        assert (receipt.stage, receipt.is_current) == ("ingest", True)


FILES = (
    "insert into artifact_files (asset_key, run_key, type_key, artifact_key, path, sha256,"
    " schema_version, producer, producer_version, weights_sha256, created_at) values"
)
THIRD = f"""
    insert into artifact_types (artifact_type) values ('screentime.segment');
    {FILES}
        (1, 1, 3, 'appearances', 'appearances.jsonl', repeat('0', 64), 1, 'p', '1', null, now());
    select refresh_served(1);
    insert into screenalytics.person_metrics
    values (1, 1, 'c1', repeat('a', 64), 'c1', 1000, 700, 200, 100, null, 0, 0, 5000, 2, 0.1, false,
            '[]');
    insert into pipeline.inbox (producer, asset_id, run_id, manifest_sha256, revision, status,
                                artifacts)
    values ('p', 'film', 'r', repeat('b', 64), 1, 'completed', '{{}}');
"""


def upgrade(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "filmgate.db:migrations")
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sqlalchemy.NullPool
    )
    with engine.begin() as session:
        config.attributes["connection"] = session
        command.upgrade(config, revision)


def test_all_of_an_asset_can_live_on_one_node(connection: psycopg.Connection) -> None:
    """Every key of a table with an asset in it names the asset, as a cluster that is distributed
    by asset demands; tables that others refer to without it are the small ones."""
    keys = connection.execute(
        "select c.conrelid::regclass::text, c.conname, c.contype, c.confrelid::regclass::text,"
        " (select array_agg(a.attname) from pg_attribute a"
        "   where a.attrelid = c.conrelid and a.attnum = any(c.conkey))"
        " from pg_constraint c"
        " where c.contype in ('p', 'u', 'f') and c.conrelid in"
        "  (select attrelid from pg_attribute where attname = 'asset_key')"
    ).fetchall()
    small = {"assets", "artifact_types"}
    strays = [
        (table, name)
        for table, name, kind, target, columns in keys
        if table not in small and "asset_key" not in columns
        if not (kind == "f" and target in small)
    ]
    assert len(keys) > 20
    assert strays == []


def test_all_of_an_asset_lies_in_one_partition(connection: psycopg.Connection) -> None:
    for number in range(8):
        things: dict[str, Any] = {"scene": [(0, 1, scene())], "ocr.text": [(0, 1, shown("x"))]}
        take_in(connection, things, asset=f"film{number}")
    spread = connection.execute(
        "select asset_key, count(distinct tableoid) from artifact_rows group by asset_key"
    ).fetchall()
    assert {count for _, count in spread} == {1}


def test_what_serving_asks_goes_by_an_index_and_never_through_a_whole_table(
    connection: psycopg.Connection,
) -> None:
    """With enough rows to matter; every statement that jump, find, search and lists send."""
    fill(connection)
    sent: list[str] = []
    explaining = Serving(connection)
    explaining._session = Explaining(connection, sent)
    asks: list[Callable[[], object]] = [
        *(
            partial(
                explaining.jump, FILM, kind, way, 5000, JumpFilters.model_validate(given), chosen
            )
            for kind in JumpKind
            for way in Direction
            for given in ({}, {FILTERS[kind]: "gate"} if kind in FILTERS else {})
            for chosen in (Selection(), Selection.of(profile="balanced"))
        ),
        *(
            partial(explaining.find, FILM, "gate", source=source, direction=way, from_ms=5000)
            for source in TextSource
            for way in Direction
        ),
        partial(explaining.search, "gate"),
        partial(explaining.artifacts, FILM, artifact_types=["scene"], from_ms=5000, to_ms=6000),
    ]
    for ask in asks:
        ask()
    assert len(sent) >= len(asks)
    with connection.transaction():
        Serving(connection).search("gate")
        walks = connection.execute(
            "select seq_scan, idx_scan from pg_stat_xact_user_tables where relname = 'served_words'"
        ).fetchone()
        assert walks is not None
        assert walks[0] == 0 < walks[1], "films are looked up by the index of words"
    big = {
        "artifact_rows",
        "assets",
        "served",
        "served_words",
        *(each.name for each in BUILT_IN.projections),
    }
    for plan in sent:
        walked = re.findall(r"Seq Scan on (\w+)", plan)
        assert not [name for name in walked if name.rstrip("_0123456789") in big], plan


FILTERS = {
    JumpKind.TRANSCRIPT: "text",
    JumpKind.OCR: "text",
    JumpKind.OBJECT: "label",
    JumpKind.PLACE: "label",
    JumpKind.FACE: "face_cluster_id",
}


class Explaining(Session):
    """Has each statement planned as it is sent, for any parameters, and keeps the plan."""

    def __init__(self, connection: psycopg.Connection, sent: list[str]) -> None:
        super().__init__(connection)
        self._sent = sent

    def all(self, statement: Statement, parameters: Parameters) -> list[dict[str, Any]]:
        rows = self.connection.execute(f"explain {statement}", parameters).fetchall()
        self._sent.append("\n".join(row[0] for row in rows))
        return super().all(statement, parameters)

    def one(self, statement: Statement, parameters: Parameters) -> dict[str, Any] | None:
        return next(iter(self.all(statement, parameters)), None)


def fill(connection: psycopg.Connection) -> None:
    """Sixteen films with two runs each."""
    makers: dict[str, Callable[[int], dict[str, Any]]] = {
        "scene": scene,
        "transcript.segment": lambda n: said(f"gate {n}"),
        "ocr.text": lambda n: shown(f"gate {n}"),
        "object.detection": lambda n: seen("gate"),
        "face.detection": lambda n: face("gate"),
        "place.classification": lambda n: place("gate"),
        "screentime.segment": lambda n: on_screen("gate"),
    }
    things = {
        name: [(n * 100, n * 100 + 50, make(n)) for n in range(120)]
        for name, make in makers.items()
    }
    for number in range(16):
        for run in ("a", "b"):
            asset = "film" if number == 0 else f"film{number}"
            take_in(connection, things, asset=asset, run=run)
    connection.execute(MANY_FILMS)
    connection.execute("analyze")


MANY_FILMS = f"""
    insert into assets (asset_id, input_hash, uri, size_bytes, media)
    select 'many' || n, '{SHA}', 'file:///x', 1, '{{}}' from generate_series(1, 2000) n;
    insert into runs (asset_key, run_id, producer, pipeline, model_profile, config_hash, input_hash,
                      status, revision, created_at, finished_at)
    select asset_key, 'r', 'p', 'episode', 'fast', '{SHA}', '{SHA}', 'completed', 1, now(), now()
      from assets where asset_id like 'many%%';
    insert into artifact_files (asset_key, run_key, type_key, schema_version, producer,
                                producer_version, created_at)
    select asset_key, run_key, type_key, 1, 'p', '1', now()
      from assets join runs using (asset_key), artifact_types
     where asset_id like 'many%%' and artifact_type = 'transcript.segment';
    select refresh_served(asset_key) from assets where asset_id like 'many%%';
    insert into served_words
    select asset_key, type_key, 0, run_key, 'english', to_tsvector('english', 'w' || asset_key)
      from served
     where asset_id like 'many%%';
""".replace("%%", "%")
