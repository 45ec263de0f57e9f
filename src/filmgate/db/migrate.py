"""Migration of a database: the platform's tables first, then those of each pipeline.

All steps are one transaction under one lock, so that a database is migrated completely or not at
all, and by one process at a time. Releases before revision 0008 stored their tables in `public` and
other schemas; `earlier_schema` recognises such a database.
"""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from filmgate.core.errors import FilmgateError, Invalid
from filmgate.db import migrations
from filmgate.db.migrations import EARLIER_HEAD, HEAD
from filmgate.db.schema import Branch, Schema

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

FOLDER = Path(migrations.__file__).parent
VERSIONS = FOLDER / "versions"
EARLIER_VERSIONS = FOLDER / "before_0008"

_LOCK = 0x46494C4D
"""Number of the advisory lock that lets only one process migrate at a time."""


def migrate(connection: psycopg.Connection, url: str, schema: Schema) -> None:
    """Migrate a database to the current version; if it is current, only one query is sent.

    Raises Invalid if the database belongs to a later version, or a pipeline's migration is faulty.
    """
    if schema.heads <= _applied(connection, schema):
        return
    import sqlalchemy  # takes 0.5 s, and only a migration needs it

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sqlalchemy.NullPool
    )
    try:
        with engine.begin() as session:
            session.exec_driver_sql(f"select pg_advisory_xact_lock({_LOCK})")
            with _faults_of_pipelines(schema):
                _upgrade(session, schema)
    except sqlalchemy.exc.DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.DuplicateTable):
            raise Invalid(
                f"schema {schema.name} contains tables of another product",
                expected="a new schema, or one that Filmgate created",
                got=str(error.orig).strip(),
                hint="Set FILMGATE_SCHEMA to another name",
            ) from error
        raise error.orig or error from error


def earlier_schema(session: "Connection") -> str | None:
    """Return the schema that contains the version table of an earlier release, usually `public`.

    None if that table does not exist, or belongs to another product: then it has another revision,
    or the tables of Filmgate are not beside it.
    """
    name = session.exec_driver_sql(
        "select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.oid = to_regclass('alembic_version')"
    ).scalar()
    if name is None:
        return None
    base = sql.Identifier(name).as_string()
    is_ours = session.exec_driver_sql(
        "select bool_and(to_regclass(name) is not null) from unnest(%(names)s::text[]) as t (name)",
        {"names": [f"{base}.artifact_rows", f"{base}.artifact_types", "pipeline.inbox"]},
    ).scalar()
    if not is_ours:
        return None
    known = {path.stem.partition("_")[0] for path in EARLIER_VERSIONS.glob("*.py")}
    found = _revisions(session, name)
    return name if len(found) == 1 and found <= known else None


def alembic_config(
    session: "Connection", folders: Iterable[Path], version_table_schema: str
) -> "Config":
    """Return Alembic's configuration for the migrations in some folders."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    locations = "\n".join(map(str, folders))
    config.set_main_option("version_locations", locations.replace("%", "%%"))
    config.attributes["connection"] = session
    config.attributes["version_table_schema"] = version_table_schema
    return config


def _upgrade(session: "Connection", schema: Schema) -> None:
    earlier = earlier_schema(session)
    if earlier != schema.name and any(map(str.isdecimal, _revisions(session, schema.name))):
        earlier = None  # the installation exists: the other tables are another installation
    if earlier is not None:
        config = alembic_config(session, [EARLIER_VERSIONS], earlier)
        _apply(config, EARLIER_HEAD, "an earlier release")
        session.exec_driver_sql(f"drop table {_version_table(earlier).as_string()}")
    _create_schema(session, schema)
    session.exec_driver_sql(f"set local search_path = {schema.search_path.as_string()}")
    folders = [VERSIONS, *(branch.folder for branch in schema.branches)]
    config = alembic_config(session, folders, schema.name)
    config.attributes["earlier_schema"] = earlier
    with _without_unknown_revisions(session, config, schema):
        _apply(config, HEAD, "the platform")
        for branch in schema.branches:
            _check_branch(config, branch)
            _apply(config, branch.head, f"pipeline {branch.pipeline}")


@contextmanager
def _faults_of_pipelines(schema: Schema) -> Iterator[None]:
    """Raise Invalid, with the name of the pipeline, for an error in the code of its migrations.

    A lost connection is not such an error.
    """
    try:
        yield
    except Exception as error:
        cause = getattr(error, "orig", None) or error
        branch = _branch_of(error, schema)
        if branch is None or isinstance(cause, FilmgateError | psycopg.OperationalError):
            raise
        raise Invalid(
            f"the migrations of pipeline {branch.pipeline} failed",
            expected=f"migrations in {branch.folder} that can be applied",
            got=f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}",
            hint="Repair or remove the package of the pipeline",
        ) from error


def _branch_of(error: Exception, schema: Schema) -> Branch | None:
    """Return the branch in whose files an error occurred, from its traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    files = {getattr(error, "filename", None), *(frame.filename for frame in frames)}
    folders = {Path(file).parent for file in files if file}
    return next((branch for branch in schema.branches if branch.folder in folders), None)


def _applied(connection: psycopg.Connection, schema: Schema) -> frozenset[str]:
    statement = sql.SQL("select version_num from {}").format(_version_table(schema.name))
    try:
        rows = connection.execute(statement).fetchall()
    except psycopg.errors.UndefinedTable:
        return frozenset()
    return frozenset(row[0] for row in rows)


def _create_schema(session: "Connection", schema: Schema) -> None:
    """Create the schema if it is missing. The statement's own `if not exists` would require the
    right to create schemas even if it exists."""
    query = "select to_regnamespace(quote_ident(%(name)s)) is not null"
    if not session.exec_driver_sql(query, {"name": schema.name}).scalar():
        name = sql.Identifier(schema.name).as_string()
        session.exec_driver_sql(f"create schema {name}")
        session.exec_driver_sql(f"comment on schema {name} is 'Tables of Filmgate.'")


@contextmanager
def _without_unknown_revisions(
    session: "Connection", config: "Config", schema: Schema
) -> Iterator[None]:
    """Hide the revisions of pipelines that are not installed here, which Alembic would refuse.

    Raises Invalid if an unknown revision is one of the platform or of an installed pipeline.
    """
    from alembic.script import ScriptDirectory

    with _translated_errors("the installed pipelines"):
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    unknown = _revisions(session, schema.name) - known
    for revision in sorted(unknown):
        if revision.isdecimal() or any(each.has_revision(revision) for each in schema.branches):
            raise Invalid(
                "the database belongs to another version of Filmgate",
                expected=f"schema {schema.name} at {', '.join(sorted(schema.heads))} or older",
                got=f"revision {revision}",
                hint="Use the Filmgate that created it, or another database",
            )
    table, values = _version_table(schema.name), [{"revision": name} for name in unknown]
    if values:
        statement = sql.SQL("delete from {} where version_num = %(revision)s").format(table)
        session.exec_driver_sql(statement.as_string(), values)
    yield
    if values:
        statement = sql.SQL("insert into {} values (%(revision)s)").format(table)
        session.exec_driver_sql(statement.as_string(), values)


def _revisions(session: "Connection", schema: str) -> frozenset[str]:
    """Return the revisions in the version table of a schema; none if the table does not exist."""
    table = _version_table(schema)
    query = "select to_regclass(%(name)s) is not null"
    if not session.exec_driver_sql(query, {"name": table.as_string()}).scalar():
        return frozenset()
    statement = sql.SQL("select version_num::text from {}").format(table)
    return frozenset(row[0] for row in session.exec_driver_sql(statement.as_string()))


def _version_table(schema: str) -> sql.Identifier:
    return sql.Identifier(schema, "alembic_version")


def _check_branch(config: "Config", branch: Branch) -> None:
    """Raise Invalid if the revisions of a pipeline are not one branch of their own with its name as
    label. A revision of another branch before them would be replaced in the version table."""
    from alembic.script import ScriptDirectory

    with _translated_errors(f"pipeline {branch.pipeline}"):
        scripts = ScriptDirectory.from_config(config)
        heads = [name for name in scripts.get_heads() if branch.has_revision(name)]
        found = list(scripts.iterate_revisions(branch.head, "base"))
    is_apart = all(branch.has_revision(each.revision) and not each.dependencies for each in found)
    if heads != [branch.head] or not is_apart or branch.pipeline not in found[-1].branch_labels:
        raise Invalid(
            f"the migrations of pipeline {branch.pipeline} are invalid",
            expected=f"one branch with the label {branch.pipeline} and the head {branch.head}; its "
            "revisions depend on no other branch",
            got=", ".join(each.revision for each in found),
            hint=f"Name each file in {branch.folder} like its revision; the first has "
            f"down_revision = None and branch_labels = ('{branch.pipeline}',)",
        )


def _apply(config: "Config", revision: str, what: str) -> None:
    from alembic import command

    with _translated_errors(what):
        command.upgrade(config, revision)


@contextmanager
def _translated_errors(what: str) -> Iterator[None]:
    from alembic.script.revision import RevisionError
    from alembic.util import CommandError

    try:
        yield
    except (CommandError, RevisionError) as error:
        raise Invalid(
            f"the migrations of {what} cannot be applied",
            got=str(error).strip().partition("\n")[0],
            hint="Use the Filmgate and the packages that created the database",
        ) from error
