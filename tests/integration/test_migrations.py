"""The migrations: from older schemas, and what the newest schema guarantees."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory

from filmgate.core.database import Parameters, Plans
from filmgate.core.jump_filters import JumpFilters
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.core.selection import Selection
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.connection import connected
from filmgate.db.deliveries import receipts
from filmgate.db.migrate import EARLIER_VERSIONS, FOLDER, VERSIONS, alembic_config
from filmgate.db.migrations import EARLIER_HEAD, HEAD
from filmgate.db.projections import rebuild
from filmgate.db.sessions import DatabaseSession, Statement
from filmgate.pipelines.rulebook.corpus.indexing import count_words
from filmgate.pipelines.rulebook.corpus.search import CorpusSearch
from filmgate.pipelines.rulebook.corpus.storage import rebuild_posting_lists
from filmgate.services.access import AccessService
from filmgate.tools.words import version
from filmgate.wiring.settings import Settings
from support.archive import (
    appearance_payload,
    face_payload,
    ingest_artifacts,
    object_payload,
    ocr_payload,
    place_payload,
    scene_payload,
    transcript_payload,
)
from support.corpus import answering_titles
from support.database import COMPLETE, FILM

SHA = "sha256:" + "0" * 64


def test_head_is_the_newest_migration() -> None:
    for folder, head in ((VERSIONS, HEAD), (EARLIER_VERSIONS, EARLIER_HEAD)):
        scripts = ScriptDirectory(str(FOLDER), version_locations=[str(folder)])
        assert scripts.get_heads() == [head]


def test_a_second_connection_finds_the_schema_up_to_date(bare_database_url: str) -> None:
    for _ in range(2):
        with connected(bare_database_url) as connection:
            found = connection.execute("select version_num from alembic_version").fetchall()
            assert found == [(HEAD,)]


def test_a_database_of_the_first_schema_is_migrated_with_its_rows(
    bare_database_url: str,
) -> None:
    """What an earlier release ingested is served as before, and found by its words."""
    upgrade(bare_database_url, "0001")
    with psycopg.connect(bare_database_url) as old:
        old.execute(FIRST)
    with connected(bare_database_url) as connection:
        serving = ArtifactQueries(connection)
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


def test_screen_time_stored_in_the_third_schema_is_served_as_before(bare_database_url: str) -> None:
    upgrade(bare_database_url, "0003")
    with psycopg.connect(bare_database_url) as old:
        old.execute(FIRST.replace("insert into artifact_files values", FILES))
        old.execute(THIRD)
    with connected(bare_database_url) as connection:
        serving = ArtifactQueries(connection)
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


def test_words_stored_in_the_sixth_schema_are_found_as_before(bare_database_url: str) -> None:
    """The posting lists are those that the chunks would give if they were counted again."""
    upgrade(bare_database_url, "0006")
    with psycopg.connect(bare_database_url) as old:
        psycopg.ClientCursor(old).execute(SIXTH, {"version": version()})
    with connected(bare_database_url, COMPLETE) as connection:
        assert answering_titles(CorpusSearch(DatabaseSession(connection)), "still water") == [
            "Calm Water",
            "Cold Water",
        ]
        before = [connection.execute(f"select * from corpus_{t}").fetchall() for t in OF_WORDS]
        assert rebuild_posting_lists(DatabaseSession(connection), count_words, version()) == 7
        after = [connection.execute(f"select * from corpus_{t}").fetchall() for t in OF_WORDS]
        assert after == before


def test_a_session_of_an_earlier_release_stays_valid_and_can_be_ended(
    bare_database_url: str, tmp_path: Path
) -> None:
    upgrade(bare_database_url, "0007")
    with psycopg.connect(bare_database_url) as old:
        old.execute(
            "insert into access.sessions"
            " (session_sha256, user_name, scope, csrf, created_at, expires_at)"
            " select encode(sha256(secret::bytea), 'hex'), 'lisa', 'viewer', 'c', now() - age,"
            " now() + interval '7 days' - age"
            " from (values ('fresh', interval '1 hour'), ('unused', interval '2 days'))"
            " as t (secret, age)"
        )
    access = AccessService(Settings(home=tmp_path, database_url=bare_database_url))
    caller = access.find_session_caller("fresh")
    assert caller is not None
    assert access.find_session_caller("unused") is None
    (listed,) = access.list_sessions().sessions
    assert (listed.session_id, listed.address) == (caller.session_id, None)
    access.revoke_session(listed.session_id)
    assert access.find_session_caller("fresh") is None


OF_WORDS = ("books order by book_key", "posting_lists order by book_key, term")
SIXTH = """
    insert into corpus.books (env, book_id, source_id, edition, title, file, pages, asset_id,
                              job_id, made_at, format, words_version)
    values ('test', 'rules.md', repeat('0', 64), repeat('0', 64), 'Rules', 'rules.md', 1, 'rules',
            'job', now(), 'markdown', %(version)s);
    insert into corpus.chunks (book_key, chunk_id, ordinal, kind, page, page_end, breadcrumb, spans,
                               text, weight)
    values (1, 'a', 0, 'prose', 1, 1, '{Spells,Calm Water}', '[]', 'Water lies still.', 15),
           (1, 'b', 1, 'prose', 1, 1, '{Spells,Cold Water}', '[]', 'Deep water.', 14);
    insert into corpus.postings (term, chunk_key, in_title, in_crumb, in_text)
    values ('calm', 1, 1, 0, 0), ('water', 1, 1, 0, 1), ('spell', 1, 0, 1, 0), ('lie', 1, 0, 0, 1),
           ('still', 1, 0, 0, 1),
           ('cold', 2, 1, 0, 0), ('water', 2, 1, 0, 1), ('spell', 2, 0, 1, 0), ('deep', 2, 0, 0, 1);
"""


def upgrade(url: str, revision: str) -> None:
    """Create or migrate the tables of an earlier release."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sqlalchemy.NullPool
    )
    with engine.begin() as session:
        command.upgrade(alembic_config(session, [EARLIER_VERSIONS], "public"), revision)


def test_all_rows_of_an_asset_can_be_stored_on_one_node(connection: psycopg.Connection) -> None:
    """Every key of a table with a column `asset_key` contains it, as a cluster that distributes
    rows by asset requires. Only small tables are referred to without it."""
    keys = connection.execute(
        "select c.conrelid::regclass::text, c.conname, c.contype, c.confrelid::regclass::text,"
        " (select array_agg(a.attname) from pg_attribute a"
        "   where a.attrelid = c.conrelid and a.attnum = any(c.conkey))"
        " from pg_constraint c"
        " where c.contype in ('p', 'u', 'f') and c.conrelid in"
        "  (select attrelid from pg_attribute where attname = 'asset_key')"
    ).fetchall()
    small = {"assets", "artifact_types"}
    without_asset = [
        (table, name)
        for table, name, kind, target, columns in keys
        if table not in small and "asset_key" not in columns
        if not (kind == "f" and target in small)
    ]
    assert len(keys) > 20
    assert without_asset == []


def test_all_rows_of_an_asset_are_in_one_partition(connection: psycopg.Connection) -> None:
    for number in range(8):
        artifacts: dict[str, Any] = {
            "scene": [(0, 1, scene_payload())],
            "ocr.text": [(0, 1, ocr_payload("x"))],
        }
        ingest_artifacts(connection, artifacts, asset=f"film{number}")
    partitions = connection.execute(
        "select asset_key, count(distinct tableoid) from artifact_rows group by asset_key"
    ).fetchall()
    assert {count for _, count in partitions} == {1}


def test_queries_use_indexes_and_never_scan_a_big_table(
    connection: psycopg.Connection,
) -> None:
    """Checks the plans of all statements of jump, find, search and lists, with many rows."""
    fill(connection)
    plans: list[str] = []
    explained = ArtifactQueries(connection)
    explained._session = ExplainingSession(connection, plans)
    calls: list[Callable[[], object]] = [
        *(
            partial(
                explained.jump,
                FILM,
                kind,
                direction,
                5000,
                JumpFilters.model_validate(filters),
                selection,
            )
            for kind in JumpKind
            for direction in Direction
            for filters in ({}, {FILTERS[kind]: "gate"} if kind in FILTERS else {})
            for selection in (Selection(), Selection.of(profile="balanced"))
        ),
        *(
            partial(explained.find, FILM, "gate", source=source, direction=direction, from_ms=5000)
            for source in TextSource
            for direction in Direction
        ),
        partial(explained.search, "gate"),
        partial(explained.artifacts, FILM, artifact_types=["scene"], from_ms=5000, to_ms=6000),
    ]
    for call in calls:
        call()
    assert len(plans) >= len(calls)
    with connection.transaction():
        ArtifactQueries(connection).search("gate")
        scans = connection.execute(
            "select seq_scan, idx_scan from pg_stat_xact_user_tables where relname = 'served_words'"
        ).fetchone()
        assert scans is not None
        assert scans[0] == 0 < scans[1], "assets are found by the index of words"
    big = {
        "artifact_rows",
        "assets",
        "served",
        "served_words",
        *(projection.name for projection in BUILT_IN.projections),
    }
    for plan in plans:
        scanned = re.findall(r"Seq Scan on (\w+)", plan)
        assert not [name for name in scanned if name.rstrip("_0123456789") in big], plan


FILTERS = {
    JumpKind.TRANSCRIPT: "text",
    JumpKind.OCR: "text",
    JumpKind.OBJECT: "label",
    JumpKind.PLACE: "label",
    JumpKind.FACE: "face_cluster_id",
}


class ExplainingSession(DatabaseSession):
    """Stores the generic plan of each statement before it is executed."""

    def __init__(self, connection: psycopg.Connection, plans: list[str]) -> None:
        super().__init__(connection, Plans.GENERIC)
        self._explained = plans

    def all(self, statement: Statement, parameters: Parameters) -> list[dict[str, Any]]:
        rows = self.connection.execute(f"explain {statement}", parameters).fetchall()
        self._explained.append("\n".join(row[0] for row in rows))
        return super().all(statement, parameters)

    def one(self, statement: Statement, parameters: Parameters) -> dict[str, Any] | None:
        return next(iter(self.all(statement, parameters)), None)


def fill(connection: psycopg.Connection) -> None:
    """Ingest 16 films with two runs each, and add 2,000 assets with a few words."""
    makers: dict[str, Callable[[int], dict[str, Any]]] = {
        "scene": scene_payload,
        "transcript.segment": lambda n: transcript_payload(f"gate {n}"),
        "ocr.text": lambda n: ocr_payload(f"gate {n}"),
        "object.detection": lambda n: object_payload("gate"),
        "face.detection": lambda n: face_payload("gate"),
        "place.classification": lambda n: place_payload("gate"),
        "screentime.segment": lambda n: appearance_payload("gate"),
    }
    artifacts = {
        name: [(n * 100, n * 100 + 50, make(n)) for n in range(120)]
        for name, make in makers.items()
    }
    for number in range(16):
        for run in ("a", "b"):
            asset = "film" if number == 0 else f"film{number}"
            ingest_artifacts(connection, artifacts, asset=asset, run=run)
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
