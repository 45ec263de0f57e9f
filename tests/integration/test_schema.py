"""The schema of an installation: beside other products and installations, and moved to it."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic import command
from procrastinate.schema import SchemaManager
from psycopg import sql

from filmgate.core.errors import Invalid, NotPermitted
from filmgate.core.jobs import JobRequest
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.connection import connected
from filmgate.db.jobs import JobStore
from filmgate.db.migrate import EARLIER_VERSIONS, alembic_config
from filmgate.db.migrations import HEAD
from filmgate.db.outbox import Outbox
from filmgate.db.projections import missing
from filmgate.db.schema import Branch, Schema
from filmgate.db.sessions import DatabaseSession
from filmgate.db.statistics import refresh_statistics
from filmgate.pipelines.rulebook.corpus.search import CorpusSearch
from filmgate.wiring import pipelines
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings
from support.archive import ingest_artifacts, scene_payload, transcript_payload
from support.command import Filmgate
from support.corpus import answering_titles, ingest_book
from support.database import COMPLETE, FILM

EARLIER_RELEASE = Path(__file__).with_name("earlier_release.sql")
"""Rows of an earlier release, for tables of revision 0007."""

PROMISED = (
    *("assets", "runs", "artifacts", "artifact_selections", "people", "legacy_artifacts", "served"),
    *("transcript_fts", "ocr_fts", "object_labels", "face_clusters", "scene_ranges"),
    *("place_labels", "pipeline.run_stages", "pipeline.outbox", "pipeline.inbox", "pipeline.jobs"),
    *("screenalytics.runs", "screenalytics.run_artifacts", "screenalytics.person_metrics"),
)

ANOTHER_PRODUCT = """
    create schema pipeline;
    create schema screenalytics;
    create table alembic_version (version_num varchar(32) primary key);
    insert into alembic_version values ('0007');
    create table runs (id integer primary key, title text);
    create table artifacts (id integer primary key, run integer references runs);
    create table procrastinate_jobs (id integer);
    create table scene_ranges (scene text);
    create table pipeline.run_stages (run integer, stage text);
    create table screenalytics.runs (id integer);
    create view screenalytics.titles as select title from public.runs;
    insert into runs values (1, 'one'), (2, 'two');
    insert into artifacts values (1, 1);
    insert into pipeline.run_stages values (1, 'cut');
    insert into screenalytics.runs values (7);
"""


def test_the_tables_of_another_product_stay_as_they_are(bare_database_url: str) -> None:
    """All of Filmgate works beside relations that have the names of its own."""
    with opened(bare_database_url) as other:
        other.execute(ANOTHER_PRODUCT)
        before = everything_outside(other, "filmgate")
        with connected(bare_database_url, COMPLETE) as connection:
            ingest_film(connection, FILM, "the gate opens")
            (hit,) = ArtifactQueries(connection).search("gate").hits
            assert hit.artifact.asset_id == FILM
            assert len(ArtifactQueries(connection).artifacts(FILM).artifacts) == 2
            ingest_book(connection)
            books = CorpusSearch(DatabaseSession(connection))
            assert answering_titles(books, "still water")[0] == "Calm Water"
            jobs = JobStore(connection)
            jobs.prepare()
            submit(jobs)
            assert jobs.counts()["queued"] == 1
            assert missing(connection, BUILT_IN.projections) == []
            refresh_statistics(connection)
        assert len(before) == 20
        assert everything_outside(other, "filmgate") == before


@pytest.mark.parametrize("revision", ["0007", "8f3a", None])
def test_a_version_table_of_another_product_is_not_read_as_an_earlier_release(
    bare_database_url: str, revision: str | None
) -> None:
    with opened(bare_database_url) as other:
        other.execute("create table alembic_version (version_num varchar(32) primary key)")
        other.execute("create table artifact_rows (id integer)")
        if revision is not None:
            other.execute("insert into alembic_version values (%s)", [revision])
        before = everything_outside(other, "filmgate")
        with connected(bare_database_url, COMPLETE) as connection:
            assert connection.execute("select count(*) from assets").fetchone() == (0,)
        assert everything_outside(other, "filmgate") == before


def test_two_installations_share_a_database(bare_database_url: str) -> None:
    """Neither sees the videos, books or jobs of the other, and their queues have other names."""
    names = ("one", "order")  # the second is a reserved word of SQL
    for name in names:
        settings = {"database_url": bare_database_url, "schema": name}
        with Database(Settings.model_validate(settings)).session() as connection:
            ingest_film(connection, FILM, f"the gate of {name}")
            ingest_film(connection, f"film-{name}", "another")
            ingest_book(connection, f"{name}.md")
            jobs = JobStore(connection)
            jobs.prepare()
            submit(jobs)
    for name in names:
        with connected(bare_database_url, Schema(name=name)) as connection:
            found = connection.execute("select asset_id from assets order by asset_id").fetchall()
            assert found == [("film",), (f"film-{name}",), (f"{name}.md",)]
            (hit,) = ArtifactQueries(connection).search("gate").hits
            assert "of " + name in hit.snippet
            books = connection.execute("select book_id from corpus_books").fetchall()
            assert books == [(f"{name}.md",)]
            assert JobStore(connection).counts()["queued"] == 1
            queues = connection.execute("select queue_name from procrastinate_jobs").fetchall()
            assert queues == [(name,)]


@pytest.mark.parametrize("name", PROMISED)
def test_names_that_products_read_are_views_in_a_database_of_its_own(
    module_database_url: str, name: str
) -> None:
    with opened(module_database_url) as product:
        (kind,) = product.execute(
            "select relkind from pg_class where oid = to_regclass(%s)", [name]
        ).fetchone() or ("",)
        assert kind == "v"
        product.execute(sql.SQL("select * from {}").format(sql.Identifier(*name.split("."))))


def test_products_read_and_write_rows_through_the_views(
    connection: psycopg.Connection, database_url: str
) -> None:
    ingest_film(connection, FILM, "the gate")
    with opened(database_url) as product:
        served = product.execute(
            "select payload ->> 'text' from artifacts a"
            " join served s using (asset_key, type_key, run_key)"
            " where a.artifact_type = 'transcript.segment'"
        ).fetchall()
        assert served == [("the gate",)]
        product.execute(
            "insert into pipeline.outbox"
            " (producer, asset_id, run_id, source, manifest_key, manifest_sha256)"
            " values ('p', 'film', 'r1', 's3://x', 'runs/film/r1/manifest.json', %s)"
            " on conflict (producer, asset_id, run_id, source) do nothing",
            ["0" * 64],
        )
    assert [event.origin.source for event in Outbox(connection).after(0, 10)] == ["s3://x"]


def test_an_installation_in_a_shared_database_creates_no_views(bare_database_url: str) -> None:
    with opened(bare_database_url) as other:
        other.execute("create table notes (note text)")
        with connected(bare_database_url, COMPLETE):
            pass
        created = other.execute(
            "select relname from pg_class where relkind = 'v' and relnamespace in"
            " (select oid from pg_namespace where nspname <> 'information_schema'"
            "   and nspname not in ('filmgate', 'pg_catalog'))"
        ).fetchall()
        assert created == []
        assert other.execute("select to_regnamespace('pipeline')").fetchone() == (None,)


def test_a_role_with_one_schema_and_no_other_right_can_use_it(bare_database_url: str) -> None:
    with opened(bare_database_url) as admin, role(admin, "tenant"):
        admin.execute("create schema filmgate authorization tenant")
        admin.execute("revoke all on schema public from public")
        url = bare_database_url.replace("filmgate@", "tenant@")
        with connected(url, COMPLETE) as connection:
            ingest_film(connection, FILM, "the gate")
            assert len(ArtifactQueries(connection).search("gate").hits) == 1
        admin.execute("revoke usage on schema filmgate from tenant")
        with pytest.raises(NotPermitted, match="lacks a permission"), connected(url, COMPLETE):
            pass


def test_opening_a_current_database_sends_one_query_and_the_settings(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    class Counted(psycopg.Connection[Any]):
        def execute(self, query: Any, *arguments: Any, **named: Any) -> Any:
            sent.append(query if isinstance(query, str) else query.as_string())
            return super().execute(query, *arguments, **named)

    monkeypatch.setattr(psycopg, "connect", Counted.connect)
    with connected(database_url, COMPLETE):
        pass
    assert [text.split()[0] for text in sent] == ["select", "set"]


# Databases of earlier releases.


@pytest.fixture
def earlier_url(bare_database_url: str) -> str:
    """The URL of a database that an earlier release created, with rows and a queue."""
    create_earlier_release(bare_database_url)
    with opened(bare_database_url) as earlier:
        earlier.execute("create schema queue; set search_path = queue")
        earlier.execute("create table changes (name text primary key)")
        earlier.execute(SchemaManager.get_schema())
        names = [(path.name,) for path in Path(SchemaManager.get_migrations_path()).iterdir()]
        earlier.cursor().executemany("insert into changes values (%s)", names)
        earlier.execute("set search_path = public, queue")
        earlier.execute(EARLIER_RELEASE.read_text())
    return bare_database_url


def create_earlier_release(url: str) -> None:
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, options="-c search_path=public"),
        poolclass=sqlalchemy.NullPool,
    )
    with engine.begin() as session:
        command.upgrade(alembic_config(session, [EARLIER_VERSIONS], "public"), "0007")


def test_a_moved_database_equals_a_new_one(earlier_url: str, module_database_url: str) -> None:
    with connected(earlier_url, COMPLETE) as moved, connected(module_database_url) as new:
        JobStore(moved).prepare()
        JobStore(new).prepare()
        for name, query in CATALOGS.items():
            expected = set(new.execute(query).fetchall())
            assert len(expected) > 5, name
            assert set(moved.execute(query).fetchall()) == expected, name


CATALOGS = {
    "columns": """
        select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity, a.attstattarget, pg_get_expr(d.adbin, d.adrelid),
               a.attcollation::regcollation::text, col_description(c.oid, a.attnum),
               row_number() over (partition by c.oid order by a.attnum)
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid
          left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
         where c.relnamespace = 'filmgate'::regnamespace and a.attnum > 0 and not a.attisdropped
           and c.relkind in ('r', 'p', 'v')""",
    "relations": """
        select relname, relkind, obj_description(oid, 'pg_class'),
               case relkind when 'v' then pg_get_viewdef(oid) when 'i' then pg_get_indexdef(oid) end
          from pg_class where relnamespace = 'filmgate'::regnamespace""",
    "constraints": """
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid)
          from pg_constraint where connamespace = 'filmgate'::regnamespace""",
    "functions": """
        select proname, pg_get_functiondef(oid), obj_description(oid, 'pg_proc')
          from pg_proc where pronamespace = 'filmgate'::regnamespace""",
    "types": """
        select typname, typtype from pg_type where typnamespace = 'filmgate'::regnamespace""",
    "triggers": """
        select tgname, tgrelid::regclass::text, pg_get_triggerdef(oid)
          from pg_trigger where not tgisinternal""",
    "views": """
        select relnamespace::regnamespace::text, relname, pg_get_viewdef(oid)
          from pg_class where relkind = 'v' and relnamespace::regnamespace::text
               in ('public', 'pipeline', 'screenalytics')""",
    "schemas": "select nspname from pg_namespace where nspname !~ '^pg_(toast_)?temp_'",
}


def test_a_database_of_an_earlier_release_is_moved_with_its_rows(earlier_url: str) -> None:
    with opened(earlier_url) as earlier:
        earlier.execute(PACKAGED_PROJECTION)
        before = {name: rows_of(earlier, name) for name in EARLIER_TABLES}
        files = file_nodes(earlier, "public", "pipeline", "screenalytics", "corpus", "access")
        assert [name for name, rows in before.items() if not rows] == []
    with connected(earlier_url, COMPLETE) as moved:
        after = {old: rows_of(moved, new) for old, new in EARLIER_TABLES.items()}
        assert after == before
        assert files <= file_nodes(moved, "filmgate"), "no table was rewritten"
        (hit,) = ArtifactQueries(moved).search("gate").hits
        assert hit.artifact.artifact_id == "film:r:transcript.segment:0"
        assert [person.person_id for person in ArtifactQueries(moved).screentime(FILM).people] == [
            "ann"
        ]
        (job,) = (
            JobStore(moved)
            .all(
                pipeline=None, asset_id=None, submitted_by=None, is_open=True, limit=9, cursor=None
            )
            .jobs
        )
        assert (job.job_id, job.state) == (1, "queued")
        assert moved.execute("select queue_name from procrastinate_jobs").fetchall() == [
            ("filmgate",)
        ]
        ingest_film(moved, "new", "a second gate")
        assert len(ArtifactQueries(moved).search("gate").hits) == 2
    with opened(earlier_url) as product:
        assert product.execute("select to_regclass('alembic_version')").fetchone() == (None,)
        for name in ("screenalytics.runs", "screenalytics.person_metrics", "pipeline.outbox"):
            assert set(before[name]) <= set(rows_of(product, name))
        found = product.execute("select artifact_id from artifacts where asset_id = 'film'")
        assert len(found.fetchall()) == 3


PACKAGED_PROJECTION = """
    create table waves (
        asset_key integer not null, run_key integer not null, ordinal integer not null,
        type_key smallint not null, span_start_ms bigint not null, span_end_ms bigint not null,
        hand text, primary key (asset_key, run_key, hand, span_start_ms, ordinal));
    comment on table waves is 'projection of gesture.wave';
    insert into waves values (1, 1, 0, 1, 0, 10, 'left');
"""
EARLIER_TABLES = {
    "public.assets": "assets",
    "public.runs": "runs",
    "public.artifact_files": "artifact_files",
    "public.artifact_rows": "artifact_rows",
    "public.served": "served",
    "public.served_words": "served_words",
    "public.transcript_fts": "transcript_fts",
    "public.waves": "waves",
    "public.people": "people",
    "pipeline.inbox": "inbox",
    "pipeline.outbox": "outbox",
    "pipeline.deliveries": "deliveries",
    "pipeline.stage_ends": "stage_ends",
    "pipeline.jobs": "jobs",
    "screenalytics.runs": "product_runs",
    "screenalytics.run_artifacts": "product_run_artifacts",
    "screenalytics.person_metrics": "product_person_metrics",
    "corpus.books": "corpus_books",
    "corpus.chunks": "corpus_chunks",
    "corpus.posting_lists": "corpus_posting_lists",
    "access.tokens": "access_tokens",
    "access.audit": "access_audit",
}
"""Where the tables of an earlier release are stored now."""


def test_a_moved_database_keeps_the_rights_and_objects_of_products(earlier_url: str) -> None:
    """Products that shared the database keep their own tables, views on ours, and read rights."""
    with opened(earlier_url) as admin, role(admin, "reader"):
        admin.execute(
            "create table screenalytics.notes (note text);"
            " create table public.alembic (note text);"
            " create view public.newest as select max(finished_at) as at from screenalytics.runs;"
            " grant usage on schema pipeline, screenalytics to reader;"
            " grant select on pipeline.outbox, screenalytics.runs, public.artifacts to reader"
        )
        with connected(earlier_url, COMPLETE):
            pass
        assert admin.execute("select at is not null from newest").fetchone() == (True,)
        assert admin.execute("select to_regclass('screenalytics.notes')").fetchone() != (None,)
        url = earlier_url.replace("filmgate@", "reader@")
        with connected(url, should_migrate=False) as consumer:
            assert len(Outbox(consumer).after(0, 10)) == 1
            assert consumer.execute("select count(*) from screenalytics.runs").fetchone() == (1,)
            assert consumer.execute("select count(*) from public.artifacts").fetchone() == (3,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                consumer.execute("select * from screenalytics.person_metrics")


def test_processes_that_migrate_an_earlier_release_at_once_all_succeed(earlier_url: str) -> None:
    def count(_: int) -> Any:
        with connected(earlier_url, COMPLETE) as connection:
            return connection.execute("select count(*) from runs").fetchone()

    with ThreadPoolExecutor(4) as executor:
        assert list(executor.map(count, range(4))) == [(1,)] * 4


def test_a_failed_move_leaves_the_earlier_release_as_it_was(earlier_url: str) -> None:
    with opened(earlier_url) as earlier:
        earlier.execute("create schema filmgate; create table filmgate.runs (id integer)")
        before = everything_outside(earlier, "none")
        with pytest.raises(Invalid, match="already exists"), connected(earlier_url, COMPLETE):
            pass
        assert everything_outside(earlier, "none") == before


def test_an_earlier_release_moves_to_the_schema_that_is_set(earlier_url: str) -> None:
    schema = Schema(name="other", branches=COMPLETE.branches)
    with connected(earlier_url, schema) as moved:
        assert moved.execute("select asset_id from other.assets").fetchall() == [("film",)]
        assert moved.execute("select to_regnamespace('filmgate')").fetchone() == (None,)


def test_an_earlier_release_beside_an_installation_is_not_moved_into_it(
    bare_database_url: str,
) -> None:
    with opened(bare_database_url) as other:
        other.execute("create table notes (note text)")
        with connected(bare_database_url):
            pass
        create_earlier_release(bare_database_url)
        before = everything_outside(other, "filmgate")
        with connected(bare_database_url, COMPLETE) as connection:
            assert versions(connection) == COMPLETE.heads
        assert everything_outside(other, "filmgate") == before


# Outboxes of other installations.


def test_the_outbox_of_an_installation_is_read_from_every_layout(
    earlier_url: str, server_url: str
) -> None:
    """Before the move, after a move to a schema of another name, and from the schema in the URL."""
    for _ in range(2):
        with connected(earlier_url, should_migrate=False) as consumer:
            assert [event.event_id for event in Outbox(consumer).after(0, 10)] == [1]
        with connected(earlier_url, Schema(name="other")):
            pass
    with connected(earlier_url, Schema(name="second")):
        pass
    url = f"{earlier_url}&options=-csearch_path%3Dsecond"
    with connected(url, should_migrate=False) as consumer:
        assert Outbox(consumer).newest() == 0


# Migrations of packages.

PACKAGE = """
from filmgate import Done, Pipeline, Plan, Producer, Settings, document, stage
from filmgate.core.summaries import Summary
from pydantic import BaseModel


class Words(BaseModel):
    words: int


WORDS = document("words.json", Words, schema="tally.words")


@stage(makes=[WORDS])
def count(context, settings: Settings):
    context.write_document(WORDS, Words(words=len(context.source.read_text().split())))
    return Done(producer=Producer(name="tally", version="1"))


def read(run):
    row = {"asset": run.manifest.asset.id, "words": run.read("tally.words", Words).words}

    def write(session):
        session.execute("delete from tally_counts where asset_id = %(asset)s", row)
        session.execute("insert into tally_counts values (%(asset)s, %(words)s)", row)
        return {"tally_counts": 1}

    return write


TALLY = Pipeline(
    plan=Plan(pipeline="tally", stages=(count,)),
    summaries=(Summary(read=read),),
    migrations="tally_package:migrations",
)
"""
REVISION = """
from alembic import op

revision = {revision!r}
down_revision = {down!r}
branch_labels = {labels!r}


def upgrade() -> None:
    op.execute({statement!r})
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a package with a pipeline that has a table; yields the folder of its migrations."""
    folder = tmp_path / "site" / "tally_package" / "migrations"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise ImportError('no connection imports this')")
    (tmp_path / "site" / "tally.py").write_text(PACKAGE)
    write_revision(folder, 1, "create table tally_counts (asset_id text, words integer)")
    info = tmp_path / "site" / "tally-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tally\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[filmgate.pipelines]\ntally = tally:TALLY\n"
        "[filmgate.migrations]\ntally = tally_package:migrations\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    pipelines.branches.cache_clear()
    yield folder
    pipelines.branches.cache_clear()
    sys.modules.pop("tally", None)


def write_revision(folder: Path, number: int, statement: str, **differs: object) -> None:
    values = {
        "revision": f"tally_{number:04}",
        "down": f"tally_{number - 1:04}" if number > 1 else None,
        "labels": ("tally",) if number == 1 else None,
        "statement": statement,
    }
    text = REVISION.format(**values | differs)
    (folder / f"tally_{number:04}.py").write_text(text)


def versions(connection: psycopg.Connection) -> set[str]:
    return {row[0] for row in connection.execute("select version_num from alembic_version")}


def test_the_migrations_of_a_package_are_applied_after_those_of_the_platform(
    package: Path, bare_database_url: str
) -> None:
    write_revision(package, 2, "alter table tally_counts add foreign key (asset_id) references"
                   " assets (asset_id)")  # fmt: skip
    settings = Settings.model_validate({"database_url": bare_database_url})
    with Database(settings).session() as connection:
        assert versions(connection) == {HEAD, "rulebook_0001", "tally_0002"}
        assert connection.execute("select * from filmgate.tally_counts").fetchall() == []


def test_a_run_of_a_packaged_pipeline_writes_rows_in_its_own_table(
    package: Path, bare_database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "gate.txt").write_text("the gate is checked")
    filmgate = Filmgate(tmp_path / "home", bare_database_url)
    filmgate.env["PYTHONPATH"] = ":".join(filter(None, sys.path))
    filmgate.env["FILMGATE_SCHEMA"] = "other"
    assert filmgate.json("run", "tally", tmp_path / "gate.txt")["status"] == "SUCCESS"
    with opened(bare_database_url) as product:
        assert product.execute("select * from other.tally_counts").fetchall() == [("gate", 4)]


def test_a_pipeline_whose_migrations_no_connection_would_find_is_refused(package: Path) -> None:
    assert pipelines.load("tally").migrations == "tally_package:migrations"
    entry_points = package.parents[1] / "tally-1.dist-info" / "entry_points.txt"
    entry_points.write_text("[filmgate.pipelines]\ntally = tally:TALLY\n")
    invalidate_caches()
    with pytest.raises(Invalid, match="migrations of pipeline 'tally' have no entry point"):
        pipelines.load("tally")
    entry_points.write_text("[filmgate.migrations]\ntally = tally_package:nothing\n")
    invalidate_caches()
    with pytest.raises(Invalid, match="migrations of pipeline 'tally' are missing"):
        pipelines.branches()


def test_a_new_migration_of_a_package_is_applied_by_the_next_process(
    package: Path, database_url: str
) -> None:
    for number in (1, 2):
        if number == 2:
            write_revision(package, 2, "alter table tally_counts add total integer")
        pipelines.branches.cache_clear()
        with connected(database_url, Schema(branches=pipelines.branches())) as connection:
            assert versions(connection) == {HEAD, "rulebook_0001", f"tally_{number:04}"}
    with closing(psycopg.connect(database_url)) as connection:
        assert connection.execute("select total from filmgate.tally_counts").fetchall() == []


def test_a_process_without_the_package_uses_and_migrates_the_database(
    package: Path, bare_database_url: str
) -> None:
    """The revisions of packages that are not installed are kept."""
    (tally,) = (branch for branch in pipelines.branches() if branch.pipeline == "tally")
    with connected(bare_database_url, Schema(branches=(tally,))):
        pass
    with connected(bare_database_url, COMPLETE) as connection:
        assert versions(connection) == {HEAD, "rulebook_0001", "tally_0001"}
        assert connection.execute("select * from corpus_books").fetchall() == []


def test_a_database_with_a_later_migration_of_a_package_is_refused(
    package: Path, database_url: str
) -> None:
    schema = Schema(branches=pipelines.branches())
    with connected(database_url, schema) as connection:
        later = "update alembic_version set version_num = 'tally_0009' where version_num ~ '^tally'"
        connection.execute(later)
    with pytest.raises(Invalid, match="another version"), connected(database_url, schema):
        pass


@pytest.mark.parametrize(
    ("differs", "message"),
    [
        ({"labels": ("other",)}, "tally"),
        ({"revision": "tally_first"}, "tally"),
        ({"statement": "create table"}, "rejected the statement"),
        ({"down": HEAD}, "tally"),
    ],
)
def test_a_faulty_migration_of_a_package_is_refused_and_changes_nothing(
    package: Path, database_url: str, differs: dict[str, object], message: str
) -> None:
    statement = {"statement": "create table tally_counts (asset_id text)"}
    write_revision(package, 1, **statement | differs)  # type: ignore[arg-type]
    schema = Schema(branches=pipelines.branches())
    with pytest.raises(Invalid, match=message), connected(database_url, schema):
        pass
    with connected(database_url, COMPLETE) as connection:
        assert versions(connection) == {HEAD, "rulebook_0001"}
        assert connection.execute("select to_regclass('tally_counts')").fetchone() == (None,)


def test_a_branch_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="migrations of pipeline tally are missing"):
        assert Branch(pipeline="tally", folder=tmp_path).head


def test_built_in_pipelines_declare_the_folders_that_connections_read() -> None:
    for name, entry in pipelines.BUILT_IN.items():
        assert pipelines.load(name).migrations == entry.migrations


# What the tests share.


@contextmanager
def opened(url: str) -> Iterator[psycopg.Connection]:
    """Open a connection as a product does whose unqualified names are in `public`."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("set search_path = public")
        yield connection


@contextmanager
def role(admin: psycopg.Connection, name: str) -> Iterator[None]:
    """Create a role that may log in, and remove it with its objects and rights."""
    admin.execute(f"create role {name} login")
    yield
    admin.execute(f"drop owned by {name} cascade; drop role {name}")


def ingest_film(connection: psycopg.Connection, asset: str, text: str) -> None:
    rows: dict[str, Any] = {
        "transcript.segment": [(0, 9, transcript_payload(text))],
        "scene": [(0, 9, scene_payload())],
    }
    ingest_artifacts(connection, rows, asset=asset)


def submit(jobs: JobStore) -> None:
    run = {"pipeline": "episode", "asset_id": "film", "run_id": "r1", "source": "/film"}
    jobs.submit(JobRequest(asset_id="film"), **run, submitted_by="lisa")


def rows_of(connection: psycopg.Connection, table: str) -> list[str]:
    """The rows of a table without null values, which later migrations add with their columns."""
    name = sql.Identifier(*table.split("."))
    statement = "select jsonb_strip_nulls(to_jsonb(x))::text from {} x"
    found = connection.execute(sql.SQL(statement).format(name))
    return sorted(row[0] for row in found)


def file_nodes(connection: psycopg.Connection, *schemas: str) -> set[int]:
    """The files of all tables and indexes: a rewritten table has a new one."""
    found = connection.execute(
        "select relfilenode from pg_class where relfilenode <> 0"
        " and relnamespace::regnamespace::text = any(%s) and relname !~ '^alembic_version'",
        [list(schemas)],
    )
    return {row[0] for row in found}


def everything_outside(connection: psycopg.Connection, schema: str) -> set[str]:
    """Definitions, owners, rights and rows with their versions, outside a schema and extensions."""
    found = {
        str(row)
        for query in (
            "select nspname, nspowner, nspacl::text from pg_namespace where nspname !~ '^pg_'"
            " and nspname not in (%(schema)s, 'information_schema')",
            "select c.oid::bigint, c.relname, n.nspname, c.relkind, c.relowner, c.relacl::text,"
            " c.relfilenode, c.reltuples, pg_get_viewdef(c.oid)"
            " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname !~ '^pg_' and n.nspname not in (%(schema)s, 'information_schema')",
            "select p.oid::bigint, p.proname from pg_proc p join pg_namespace n"
            " on n.oid = p.pronamespace where n.nspname !~ '^pg_'"
            " and n.nspname not in (%(schema)s, 'information_schema')"
            " and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')",
        )
        for row in connection.execute(query, {"schema": schema})
    }
    tables = connection.execute(
        "select schemaname, tablename from pg_tables where schemaname !~ '^pg_'"
        " and schemaname not in (%s, 'information_schema')",
        [schema],
    ).fetchall()
    for names in tables:
        statement = sql.SQL("select xmin::text, ctid::text, x::text from {} x")
        rows = connection.execute(statement.format(sql.Identifier(*names))).fetchall()
        found |= {f"{names} {row}" for row in rows}
    return found
