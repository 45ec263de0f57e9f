"""The artifact repository: programs create, read and delete single artifacts."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from filmgate.core.answers import ArtifactPage, ChainLink, ProvenanceAnswer
from filmgate.core.database import Parameters, Row
from filmgate.core.envelope import Envelope, NewArtifact, artifact_id, parse_artifact_id
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.payloads.projection import Projection
from filmgate.core.payloads.registry import Registry
from filmgate.core.questions import TextSource
from filmgate.db import artifact_types, projections
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.queries import queries
from filmgate.db.search_hits import envelope_of
from filmgate.db.sessions import DatabaseSession

KEY_COLUMNS = ("asset_key", "run_key", "type_key")

SHARED_COLUMNS = ("schema_version", "producer", "producer_version")
"""Columns in which all artifacts of one type in one run are equal."""

RUN_COLUMNS = ("model_profile", "config_hash", "input_hash")
"""Columns in which all artifacts of one run are equal."""


class Artifacts:
    """Stores and reads single artifacts over one connection. Each call is one transaction."""

    def __init__(self, connection: psycopg.Connection, registry: Registry) -> None:
        self._connection = connection
        self._session = DatabaseSession(connection)
        self._registry = registry

    def create(self, artifact: NewArtifact, *, installation: str | None = None) -> Envelope:
        """Add one artifact to a run; see `batch_create`."""
        return self.batch_create([artifact], installation=installation)[0]

    def batch_create(
        self, artifacts: Sequence[NewArtifact], *, installation: str | None = None
    ) -> list[Envelope]:
        """Add artifacts to existing runs. Each gets the next ordinal of its type and the creation
        time of the first artifact of its type.

        All are validated before any is written. `installation` chooses the run if two
        installations have one of the same id. Raises Invalid if a payload breaks its contract,
        SchemaNotFoundError if no contract exists, NotFound if a run does not exist, and
        Conflict if the provenance differs from that of the run or of the other artifacts added
        of this type, or if a stage of the run makes this type.
        """
        checked = [self._validate(artifact) for artifact in artifacts]
        created: dict[int, Envelope] = {}
        types = {artifact.artifact_type for artifact in checked}
        artifact_types.prepare(self._connection, types, self._registry.projections)
        order = sorted(range(len(checked)), key=lambda n: _file_key(checked[n]))
        with self._connection.transaction():
            for _, group in groupby(order, key=lambda n: _file_key(checked[n])):
                numbers = list(group)
                added = self._add([checked[n] for n in numbers], installation)
                created |= dict(zip(numbers, added, strict=True))
        return [created[number] for number in range(len(checked))]

    def get_by_id(self, text: str, *, installation: str | None = None) -> Envelope:
        """Return the artifact with the id `text`, of any run, served or not.

        Raises NotFound if it does not exist, Conflict if two installations have this id.
        """
        return envelope_of(self._row(text, installation))

    def get_by_asset(self, asset_id: AssetId, **filters: Any) -> ArtifactPage:
        """Return a page of the served artifacts of an asset, sorted by time.

        Filters by type, time, producer, version and config: see `ArtifactQueries.artifacts`.
        """
        return ArtifactQueries(self._connection).artifacts(asset_id, **filters)

    def get_by_span(
        self, asset_id: AssetId, from_ms: int, to_ms: int, **filters: Any
    ) -> ArtifactPage:
        """Return the artifacts of `get_by_asset` that overlap [from_ms, to_ms), in milliseconds.

        An artifact without duration overlaps if from_ms <= start < to_ms.
        """
        return self.get_by_asset(asset_id, from_ms=from_ms, to_ms=to_ms, **filters)

    def lifted(self, artifact: Envelope, version: int) -> Envelope:
        """Return the artifact converted to a later version of its contract."""
        kind = artifact.artifact_type
        payload = self._registry.lift(kind, artifact.schema_version, artifact.payload, version)
        return artifact.model_copy(update={"payload": payload, "schema_version": version})

    def delete(self, text: str, *, installation: str | None = None) -> None:
        """Delete one artifact; its id is not reused in this revision of its run.

        Raises NotFound if it does not exist, Conflict if it is pinned.
        """
        sql = queries("artifacts")
        asset_id, _, kind, _ = parse_artifact_id(text)
        projections.make(self._connection, self._projections_of(kind))
        with self._connection.transaction():
            self._lock(asset_id)
            row = self._row(text, installation)
            if self._session.one_required(sql["is_pinned"], row)["found"]:
                raise _pinned_error(f"artifact {text}")
            keys = {name: row[name] for name in KEY_COLUMNS}
            ordinals = [row["ordinal"]]
            projections.clear(
                self._connection,
                self._projections_of(row["artifact_type"]),
                keys | {"ordinals": ordinals},
            )
            self._session.execute(sql["drop_row"], row)
            self._refresh_served(keys, row["artifact_type"])

    def delete_run(self, asset_id: str, run_id: str, *, installation: str | None = None) -> None:
        """Delete a run with all its rows; it can be ingested again.

        Raises NotFound if it does not exist, Conflict if it is pinned.
        """
        sql = queries("artifacts")
        with self._connection.transaction():
            self._lock(asset_id)
            run = self._run(asset_id, run_id, installation)
            try:
                self._session.execute(sql["drop_run"], run | {"asset_id": asset_id})
            except psycopg.errors.ForeignKeyViolation as error:
                raise _pinned_error(f"run {run_id} of {asset_id}") from error
            self._session.execute(queries("ingest")["refresh_served"], run)

    def provenance(self, text: str, *, installation: str | None = None) -> ProvenanceAnswer:
        """Return where an artifact comes from: its stage and all stages before it."""
        row = self._row(text, installation)
        sql = queries("artifacts")
        facts = self._session.one_required(sql["provenance"], row)
        stages = self._session.all(sql["stages"], row)
        config = facts.pop("config")
        return ProvenanceAnswer(
            artifact=envelope_of(row),
            **facts,
            config=config.get(facts["stage"], {}),
            chain=_chain(facts["stage"], stages),
        )

    def _validate(self, artifact: NewArtifact) -> NewArtifact:
        kind, version = artifact.artifact_type, artifact.schema_version
        payload = self._registry.validate(kind, version, artifact.payload)
        return artifact.model_copy(update={"payload": payload})

    def _add(self, artifacts: Sequence[NewArtifact], installation: str | None) -> list[Envelope]:
        """Add artifacts of one type to one run."""
        ingest, sql = queries("ingest"), queries("artifacts")
        first = artifacts[0]
        self._lock(first.asset_id)
        run = self._run(first.asset_id, first.run_id, installation)
        for artifact in artifacts:
            _check_equal(artifact, run, RUN_COLUMNS, "its run")
        keys = {name: run[name] for name in ("asset_key", "run_key")}
        keys |= self._session.one_required(
            ingest["type_key"], {"artifact_type": first.artifact_type}
        )
        found = self._session.one(sql["file"], keys)
        if found is None:
            self._session.execute(ingest["add_file"], {**keys, **_row_without_file(first)})
        file = found or self._session.one_required(sql["file"], keys)
        if file["path"] is not None:
            raise Conflict(
                f"run {first.run_id} already has a stage that makes {first.artifact_type}",
                expected="a type that no stage of the run makes",
                got=f"a type that is stored in {file['path']}",
                hint="Add the artifacts to a separate run",
            )
        added = []
        for number, artifact in enumerate(artifacts, file["next_ordinal"]):
            _check_equal(
                artifact, file, SHARED_COLUMNS, f"the other {first.artifact_type} artifacts"
            )
            fields = artifact.model_dump() | {"created_at": file["created_at"]}
            row = {**keys, **fields, "payload": Jsonb(artifact.payload), "ordinal": number}
            self._session.execute(sql["add_row"], row)
            new_id = artifact_id(artifact.asset_id, artifact.run_id, first.artifact_type, number)
            added.append(Envelope(artifact_id=new_id, **fields))
        ordinals = list(range(file["next_ordinal"], file["next_ordinal"] + len(added)))
        longest = max(envelope.span_end_ms - envelope.span_start_ms for envelope in added)
        totals = {"next_ordinal": ordinals[-1] + 1, "longest_ms": longest}
        if found is None:
            self._session.execute(ingest["describe_file"], keys)
        else:
            self._session.execute(sql["update_totals"], keys | totals)
        projections.fill(
            self._connection,
            self._projections_of(first.artifact_type),
            keys | {"ordinals": ordinals},
        )
        self._refresh_served(keys, first.artifact_type)
        return added

    def _projections_of(self, artifact_type: str) -> list[Projection]:
        return [
            projection
            for projection in self._registry.projections
            if projection.artifact_type == artifact_type
        ]

    def _refresh_served(self, keys: Parameters, artifact_type: str) -> None:
        """Update which run serves a type and, for a type with text, its word index."""
        if artifact_type in TextSource.ALL.artifact_types:
            self._session.execute(queries("artifacts")["delete_words"], keys)
        self._session.execute(queries("ingest")["refresh_served"], keys)

    def _lock(self, asset_id: str) -> None:
        """Prevent other sessions from changing the served runs of an asset in this transaction."""
        self._session.one(queries("ingest")["lock_asset"], {"asset_id": asset_id})

    def _run(self, asset_id: str, run_id: str, installation: str | None) -> Row:
        parameters = {"asset_id": asset_id, "run_id": run_id, "installation": installation}
        found = self._session.all(queries("artifacts")["run"], parameters)
        return _single_row(found, f"run {run_id!r} of {asset_id}")

    def _row(self, text: str, installation: str | None) -> Row:
        names = ("asset_id", "run_id", "artifact_type", "ordinal")
        parameters = dict(zip(names, parse_artifact_id(text), strict=True))
        parameters["installation"] = installation
        rows = self._session.all(queries("artifacts")["by_id"], parameters)
        if not rows and parameters["run_id"] == "legacy":
            raise NotFound(
                f"the provenance of {text} is unknown",
                expected="an artifact of a run",
                got="a legacy artifact of an older product",
            )
        return _single_row(rows, f"artifact {text}")


def _pinned_error(what: str) -> Conflict:
    return Conflict(
        f"{what} is pinned",
        expected="no selection that names it",
        got="a selection that names it",
        hint="Select another run or artifact first",
    )


def _file_key(artifact: NewArtifact) -> tuple[str, str, str]:
    return artifact.asset_id, artifact.run_id, artifact.artifact_type


def _row_without_file(artifact: NewArtifact) -> Row:
    """Build the row of `artifact_files` for artifacts that a program added without a file."""
    return {
        "stage": None,
        "artifact_key": None,
        "path": None,
        "sha256": None,
        "schema_version": artifact.schema_version,
        "producer": artifact.producer,
        "producer_version": artifact.producer_version,
        "weights_sha256": None,
        "created_at": artifact.created_at,
    }


def _check_equal(artifact: NewArtifact, stored: Row, names: Iterable[str], whose: str) -> None:
    for name in names:
        if getattr(artifact, name) != stored[name]:
            raise Conflict(
                f"the {name} of an artifact does not match that of {whose}",
                expected=str(stored[name]),
                got=str(getattr(artifact, name)),
                hint="Add artifacts of another producer to a separate run",
            )


def _single_row(found: Sequence[Row], what: str) -> Row:
    if not found:
        raise NotFound(
            f"{what} is not in the database", hint="Ingest its run with `filmgate ingest`"
        )
    if len(found) > 1:
        raise Conflict(
            f"{what} exists in several installations",
            expected="one installation with a run of this id",
            got=", ".join(row["installation"] for row in found),
            hint="Name the installation",
        )
    return found[0]


def _chain(stage: str | None, stages: Sequence[Row]) -> tuple[ChainLink, ...]:
    """List the stage, then all stages that it depends on, breadth first."""
    by_name = {row["stage"]: row for row in stages}
    waiting, seen = [stage] if stage in by_name else [], []
    while waiting:
        name = waiting.pop(0)
        if name in by_name and name not in seen:
            seen.append(name)
            waiting += [parent["stage"] for parent in by_name[name]["lineage"]]
    return tuple(
        ChainLink(
            **{k: v for k, v in by_name[name].items() if k != "lineage"},
            stands_on=tuple(parent["stage"] for parent in by_name[name]["lineage"]),
        )
        for name in seen
    )
