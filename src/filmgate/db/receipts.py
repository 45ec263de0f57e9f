"""Receipts: who took in which manifest, in the transaction that takes it in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from filmgate.core.answers import Receipt
from filmgate.core.errors import Conflict
from filmgate.core.manifest import Manifest
from filmgate.core.publishing import Origin, run_at
from filmgate.db.queries import queries
from filmgate.db.rows import STATUS, identity_of
from filmgate.db.sessions import Session

OLDER_SCHEMA = "before 0004"
"""The source in receipts that an older schema left: not all rows of today were made then, so that
the same manifest may be taken in again."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What taking in a manifest left behind."""

    counts: Mapping[str, int]
    """Rows made, by table."""
    artifacts: Mapping[str, int]
    """Artifacts by type."""


@dataclass(frozen=True, kw_only=True)
class Intake:
    """A manifest that one consumer is about to take in."""

    stage: str
    manifest: Manifest
    manifest_sha256: str
    origin: Origin
    files: Mapping[str, str]
    """The files whose records become rows, with their sha256."""

    @property
    def run(self) -> dict[str, str]:
        """Whose run it is."""
        return identity_of(self.manifest)


def take_in_once(session: Session, intake: Intake, take: Callable[[bool], Taken]) -> Receipt:
    """Do what takes a manifest in, unless this consumer did before; leave a receipt.

    `take` is told whether nothing of the run was ever taken in by anybody. Works inside a
    transaction of the caller's, to which it is bound: one at a time for each run. Raises Conflict
    where the run came with other bytes: any, once a published manifest was taken in, else those of
    an earlier revision.
    """
    sql = queries("receipts")
    session.do(sql["lock"], intake.run)
    earlier = {row["stage"]: row for row in session.all(sql["current"], intake.run)}
    mine = earlier.get(intake.stage)
    is_same = mine is not None and mine["manifest_sha256"] == intake.manifest_sha256
    if mine is not None and is_same and mine["source"] != OLDER_SCHEMA:
        return _receipt(intake, mine["status"], mine["artifacts"], mine["counts"], is_replay=True)
    for each in earlier.values():
        if each["manifest_sha256"] != intake.manifest_sha256:
            _check(intake, each, is_mine=each is mine)
    taken = take(not earlier)
    status = STATUS[intake.manifest.status]
    mark = intake.run | {"stage": intake.stage}
    if mine is not None:
        session.do(sql["supersede"], mark)
    session.do(
        sql["save"],
        mark
        | {
            "manifest_sha256": intake.manifest_sha256,
            "revision": intake.manifest.revision,
            "schema_version": intake.manifest.schema_version,
            "status": status,
            "artifacts": Jsonb(dict(taken.artifacts)),
            "source": intake.origin.source,
            "manifest_key": intake.origin.manifest_key,
            "files": Jsonb(dict(intake.files)),
            "counts": Jsonb(dict(taken.counts)),
        },
    )
    return _receipt(intake, status, taken.artifacts, taken.counts, is_replay=False)


def _receipt(
    intake: Intake,
    status: str,
    artifacts: Mapping[str, int],
    counts: Mapping[str, int],
    *,
    is_replay: bool,
) -> Receipt:
    return Receipt(
        **intake.run,
        stage=intake.stage,
        manifest_sha256=intake.manifest_sha256,
        status=status,
        artifacts=dict(artifacts),
        counts=dict(counts),
        is_replay=is_replay,
    )


def _check(intake: Intake, earlier: Mapping[str, Any], *, is_mine: bool) -> None:
    """A published run has one manifest for good; any other may only be followed by a later
    revision of itself."""
    manifest = intake.manifest
    if run_at(earlier["manifest_key"]) is not None:
        raise _conflict(
            manifest,
            f"sha256 {earlier['manifest_sha256']}, as published",
            f"sha256 {intake.manifest_sha256}",
        )
    if not is_mine:
        return
    told = {
        "created_at": manifest.created_at,
        "input_hash": manifest.asset.input_hash,
        "config_hash": manifest.config_hash,
    }
    others = [name for name, value in told.items() if earlier[name] not in {value, None}]
    if others or manifest.revision <= earlier["revision"]:
        raise _conflict(
            manifest,
            f"the manifest ingested before, or a revision after {earlier['revision']}",
            f"another {', '.join(others)}" if others else f"revision {manifest.revision}",
        )


def _conflict(manifest: Manifest, expected: str, got: str) -> Conflict:
    return Conflict(
        f"run {manifest.run_id} of {manifest.asset.id} was ingested with other bytes",
        expected=expected,
        got=got,
        hint="Run it again under another run id (--new); installations that share a name each "
        "need a producer name of their own (FILMGATE_PRODUCER)",
        reason="manifest_conflict",
    )
