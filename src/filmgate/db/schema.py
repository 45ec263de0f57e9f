"""The schema of an installation: its name, and the branches of migrations of its pipelines."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from psycopg import sql

from filmgate.core.errors import Invalid
from filmgate.core.ids import DEFAULT_SCHEMA
from filmgate.db.migrations import HEAD

MAX_REVISION = 32
"""Length of the longest name of a revision that the version table can store, in characters."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Migrations of one pipeline: a branch in the version table, with the pipeline's name as its
    label. Revisions are named `{pipeline}_{number}`, and their files `{revision}.py`; the highest
    number is the newest."""

    pipeline: str
    folder: Path

    @cached_property
    def head(self) -> str:
        """The newest revision, from the names of the files; raises Invalid if there are none."""
        stems = [path.stem for path in self.folder.glob("*.py")]
        names = [stem for stem in stems if self.has_revision(stem)]
        if not names:
            raise Invalid(
                f"the migrations of pipeline {self.pipeline} are missing",
                expected=f"files {self.pipeline}_0001.py, … in {self.folder}",
                got="none",
                hint="Repair or reinstall the package of the pipeline",
            )
        newest = max(names, key=lambda name: (len(name), name))
        if len(newest) > MAX_REVISION or "-" in newest:
            raise Invalid(
                f"the migrations of pipeline {self.pipeline} are invalid",
                expected=f"names of revisions of at most {MAX_REVISION} characters, without '-'",
                got=newest,
                hint="Give the pipeline another name: a revision starts with it",
            )
        return newest

    def has_revision(self, name: str) -> bool:
        """Whether a revision is one of this branch, by its name."""
        prefix, _, number = name.rpartition("_")
        return prefix == self.pipeline and number.isdecimal()


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The PostgreSQL schema that contains all tables, functions and types of an installation."""

    name: str = DEFAULT_SCHEMA
    branches: tuple[Branch, ...] = ()

    @cached_property
    def heads(self) -> frozenset[str]:
        """The newest revisions: of the platform, and of each pipeline with migrations."""
        return frozenset({HEAD, *(branch.head for branch in self.branches)})

    @cached_property
    def search_path(self) -> sql.Composed:
        """The search path of connections. Extensions and tables of older products are in `public`;
        a name that exists in both is that of the installation."""
        return sql.SQL("{}, public").format(sql.Identifier(self.name))

    @cached_property
    def outbox_path(self) -> sql.Composed:
        """The search path for the outbox of another installation. Its schema may have another name,
        or this role may not use it; then `pipeline.outbox` is read if it exists."""
        return sql.SQL("{}, pipeline, public").format(sql.Identifier(self.name))


FILMGATE = Schema()
"""The default schema, without pipelines."""
