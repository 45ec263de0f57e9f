"""The repository: artifacts one by one, as programs make, fetch and remove them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from filmgate.core.answers import ArtifactPage, ChainLink, ProvenanceAnswer
from filmgate.core.envelope import Envelope, NewArtifact, artifact_id, parse_artifact_id
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.payloads.projection import Projection
from filmgate.core.payloads.registry import Registry
from filmgate.core.questions import TextSource
from filmgate.db import projections, types
from filmgate.db.hits import envelope_of
from filmgate.db.queries import queries
from filmgate.db.serving import Serving
from filmgate.db.sessions import Session

KEYS = ("asset_key", "run_key", "type_key")

SHARED = ("schema_version", "producer", "producer_version")
"""What all artifacts of one type in one run have in common."""

OF_THE_RUN = ("model_profile", "config_hash", "input_hash")


class Artifacts:
    """Artifacts over one connection. Each call is a transaction: all of it, or nothing."""

    def __init__(self, connection: psycopg.Connection, registry: Registry) -> None:
        self._connection = connection
        self._session = Session(connection)
        self._registry = registry

    def create(self, artifact: NewArtifact, *, installation: str | None = None) -> Envelope:
        """Add one artifact to a run; see `batch_create`."""
        return self.batch_create([artifact], installation=installation)[0]

    def batch_create(
        self, artifacts: Sequence[NewArtifact], *, installation: str | None = None
    ) -> list[Envelope]:
        """Add artifacts to runs that are known; each gets the next ordinal of its type, and the
        moment at which the first of its type was made.

        All are validated before any is written. Raises Invalid where a payload breaks its
        contract, SchemaNotFoundError where there is none, NotFound where a run is unknown, and
        Conflict where the provenance is not the run's, differs from that of the artifacts that
        were added of the type, or the run makes that type itself. `installation` says whose
        run, where two have one id.
        """
        checked = [self._validated(artifact) for artifact in artifacts]
        made: dict[int, Envelope] = {}
        kinds = {artifact.artifact_type for artifact in checked}
        types.prepare(self._connection, kinds, self._registry.projections)
        order = sorted(range(len(checked)), key=lambda n: _file_key(checked[n]))
        with self._connection.transaction():
            for _, group in groupby(order, key=lambda n: _file_key(checked[n])):
                numbers = list(group)
                added = self._add([checked[n] for n in numbers], installation)
                made |= dict(zip(numbers, added, strict=True))
        return [made[number] for number in range(len(checked))]

    def get_by_id(self, text: str, *, installation: str | None = None) -> Envelope:
        """One artifact, whatever is served; NotFound, or Conflict where two runs have its id."""
        return envelope_of(self._row(text, installation))

    def get_by_asset(self, asset_id: AssetId, **asked: Any) -> ArtifactPage:
        """Artifacts of what is served, in order of time, by type, time, producer, version and
        config, page by page; see `Serving.artifacts`."""
        return Serving(self._connection).artifacts(asset_id, **asked)

    def get_by_span(
        self, asset_id: AssetId, from_ms: int, to_ms: int, **asked: Any
    ) -> ArtifactPage:
        """The same, of those that overlap [from_ms, to_ms); an instant lies in it or not."""
        return self.get_by_asset(asset_id, from_ms=from_ms, to_ms=to_ms, **asked)

    def lifted(self, artifact: Envelope, version: int) -> Envelope:
        """The artifact as a later version of its contract has it."""
        kind = artifact.artifact_type
        payload = self._registry.lift(kind, artifact.schema_version, artifact.payload, version)
        return artifact.model_copy(update={"payload": payload, "schema_version": version})

    def delete(self, text: str, *, installation: str | None = None) -> None:
        """Take one artifact away; its id is not given again in this revision of its run.

        Raises NotFound where it is not there, and Conflict where it is pinned.
        """
        sql = queries("artifacts")
        asset_id, _, kind, _ = parse_artifact_id(text)
        projections.make(self._connection, self._projected(kind))
        with self._connection.transaction():
            self._lock(asset_id)
            row = self._row(text, installation)
            if self._session.need(sql["is_pinned"], row)["found"]:
                raise _pinned(f"artifact {text}")
            keys = {name: row[name] for name in KEYS}
            ordinals = [row["ordinal"]]
            projections.clear(
                self._connection,
                self._projected(row["artifact_type"]),
                keys | {"ordinals": ordinals},
            )
            self._session.do(sql["drop_row"], row)
            self._serve_anew(keys, row["artifact_type"])

    def delete_run(self, asset_id: str, run_id: str, *, installation: str | None = None) -> None:
        """Take a run away with all that was taken in of it; it can be ingested again.

        Raises Conflict where it is pinned: whoever pinned it counts on it.
        """
        sql = queries("artifacts")
        with self._connection.transaction():
            self._lock(asset_id)
            run = self._run(asset_id, run_id, installation)
            try:
                self._session.do(sql["drop_run"], run | {"asset_id": asset_id})
            except psycopg.errors.ForeignKeyViolation as error:
                raise _pinned(f"run {run_id} of {asset_id}") from error
            self._session.do(queries("ingest")["refresh_served"], run)

    def provenance(self, text: str, *, installation: str | None = None) -> ProvenanceAnswer:
        """Where an artifact comes from: its stage, and all that that stood on."""
        row = self._row(text, installation)
        sql = queries("artifacts")
        facts = self._session.need(sql["provenance"], row)
        stages = self._session.all(sql["stages"], row)
        config = facts.pop("config")
        return ProvenanceAnswer(
            artifact=envelope_of(row),
            **facts,
            config=config.get(facts["stage"], {}),
            chain=_chain(facts["stage"], stages),
        )

    def _validated(self, artifact: NewArtifact) -> NewArtifact:
        kind, version = artifact.artifact_type, artifact.schema_version
        payload = self._registry.validate(kind, version, artifact.payload)
        return artifact.model_copy(update={"payload": payload})

    def _add(self, artifacts: Sequence[NewArtifact], installation: str | None) -> list[Envelope]:
        """Artifacts of one type to one run."""
        ingest, sql = queries("ingest"), queries("artifacts")
        first = artifacts[0]
        self._lock(first.asset_id)
        run = self._run(first.asset_id, first.run_id, installation)
        for artifact in artifacts:
            _check_same(artifact, run, OF_THE_RUN, "its run")
        keys = {name: run[name] for name in ("asset_key", "run_key")}
        keys |= self._session.need(ingest["type_key"], {"artifact_type": first.artifact_type})
        found = self._session.one(sql["file"], keys)
        if found is None:
            self._session.do(ingest["add_file"], {**keys, **_loose_file(first)})
        file = found or self._session.need(sql["file"], keys)
        if file["path"] is not None:
            raise Conflict(
                f"run {first.run_id} makes its {first.artifact_type} artifacts itself",
                expected="a type that no stage of the run makes",
                got=f"one that lies in {file['path']}",
                hint="What somebody adds to it belongs to a run of its own",
            )
        made = []
        for number, artifact in enumerate(artifacts, file["next_ordinal"]):
            _check_same(artifact, file, SHARED, f"the {first.artifact_type} artifacts of its run")
            told = artifact.model_dump() | {"created_at": file["created_at"]}
            row = {**keys, **told, "payload": Jsonb(artifact.payload), "ordinal": number}
            self._session.do(sql["add_row"], row)
            named_by = artifact_id(artifact.asset_id, artifact.run_id, first.artifact_type, number)
            made.append(Envelope(artifact_id=named_by, **told))
        ordinals = list(range(file["next_ordinal"], file["next_ordinal"] + len(made)))
        longest = max(each.span_end_ms - each.span_start_ms for each in made)
        counted = {"next_ordinal": ordinals[-1] + 1, "longest_ms": longest}
        if found is None:
            self._session.do(ingest["describe_file"], keys)
        else:
            self._session.do(sql["count_up"], keys | counted)
        projections.fill(
            self._connection, self._projected(first.artifact_type), keys | {"ordinals": ordinals}
        )
        self._serve_anew(keys, first.artifact_type)
        return made

    def _projected(self, kind: str) -> list[Projection]:
        """The projections of a type."""
        return [each for each in self._registry.projections if each.artifact_type == kind]

    def _serve_anew(self, keys: Mapping[str, Any], artifact_type: str) -> None:
        """Derive again what is served, and where it is a text, by which words it is found."""
        if artifact_type in TextSource.ALL.artifact_types:
            self._session.do(queries("artifacts")["forget_words"], keys)
        self._session.do(queries("ingest")["refresh_served"], keys)

    def _lock(self, asset_id: str) -> None:
        """Nobody else writes what the asset is served from, until the transaction ends."""
        self._session.one(queries("ingest")["lock_asset"], {"asset_id": asset_id})

    def _run(self, asset_id: str, run_id: str, installation: str | None) -> dict[str, Any]:
        asked = {"asset_id": asset_id, "run_id": run_id, "installation": installation}
        found = self._session.all(queries("artifacts")["run"], asked)
        return _the_one(found, f"run {run_id!r} of {asset_id}")

    def _row(self, text: str, installation: str | None) -> dict[str, Any]:
        names = ("asset_id", "run_id", "artifact_type", "ordinal")
        asked = dict(zip(names, parse_artifact_id(text), strict=True))
        asked["installation"] = installation
        rows = self._session.all(queries("artifacts")["by_id"], asked)
        if not rows and asked["run_id"] == "legacy":
            raise NotFound(
                f"nothing is known of where {text} comes from",
                expected="an artifact of a run",
                got="what an older product left",
            )
        return _the_one(rows, f"artifact {text}")


def _pinned(what: str) -> Conflict:
    return Conflict(
        f"{what} is pinned",
        expected="one that no selection names",
        got="one that is served by choice",
        hint="Select another first",
    )


def _file_key(artifact: NewArtifact) -> tuple[str, str, str]:
    return artifact.asset_id, artifact.run_id, artifact.artifact_type


def _loose_file(artifact: NewArtifact) -> dict[str, Any]:
    """What holds for artifacts that no stage made: they lie in no file."""
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


def _check_same(
    artifact: NewArtifact, stored: Mapping[str, Any], names: Iterable[str], whose: str
) -> None:
    for name in names:
        if getattr(artifact, name) != stored[name]:
            raise Conflict(
                f"an artifact has another {name} than {whose}",
                expected=str(stored[name]),
                got=str(getattr(artifact, name)),
                hint="Another producer's work belongs to a run of its own",
            )


def _the_one(found: Sequence[dict[str, Any]], what: str) -> dict[str, Any]:
    if not found:
        raise NotFound(f"no {what} in the database", hint="filmgate ingest takes runs in")
    if len(found) > 1:
        whose = ", ".join(row["installation"] for row in found)
        raise Conflict(
            f"{what} stands here more than once",
            expected="one installation with a run of that id",
            got=whose,
            hint="Say whose",
        )
    return found[0]


def _chain(stage: str | None, stages: Sequence[Mapping[str, Any]]) -> tuple[ChainLink, ...]:
    """The stage, then what it stands on, breadth first."""
    by_name = {each["stage"]: each for each in stages}
    waiting, seen = [stage] if stage in by_name else [], []
    while waiting:
        name = waiting.pop(0)
        if name in by_name and name not in seen:
            seen.append(name)
            waiting += [stood["stage"] for stood in by_name[name]["lineage"]]
    return tuple(
        ChainLink(
            **{k: v for k, v in by_name[name].items() if k != "lineage"},
            stands_on=tuple(stood["stage"] for stood in by_name[name]["lineage"]),
        )
        for name in seen
    )
