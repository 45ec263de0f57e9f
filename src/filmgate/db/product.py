"""What a product reads: the completed runs, their files, and everybody's screen time."""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from filmgate.core.answers import Receipt
from filmgate.core.manifest import Manifest
from filmgate.core.publishing import Origin, run_at
from filmgate.core.screentime import SCREENTIME, ScreenTime
from filmgate.core.states import RunState
from filmgate.db.queries import queries
from filmgate.db.receipts import Intake, Taken, take_in_once
from filmgate.db.rows import identity_of
from filmgate.db.sessions import Session

STAGE = "sync_screenalytics"
"""What receipts of summaries say of who took them in."""

RUNS = "screenalytics.runs"
PEOPLE = "screenalytics.person_metrics"
ARTIFACTS = "screenalytics.run_artifacts"


def take_in_summary(
    connection: psycopg.Connection,
    manifest: Manifest,
    manifest_sha256: str,
    origin: Origin,
    screentime: ScreenTime | None,
) -> Receipt:
    """Take in what a product reads of a completed run; the same manifest again changes nothing.

    Works inside a transaction of the caller's. Raises Conflict where the run came with other bytes
    before.
    """
    session = Session(connection)
    ref = manifest.the_file_of(SCREENTIME)
    intake = Intake(
        stage=STAGE,
        manifest=manifest,
        manifest_sha256=manifest_sha256,
        origin=origin,
        files={ref.path: ref.sha256} if ref else {},
    )

    def take(is_new: bool) -> Taken:
        counts = put(session, manifest, manifest_sha256, origin, screentime, is_new=is_new)
        return Taken(counts=counts, artifacts={})

    with connection.pipeline():  # statements follow each other without waiting for answers
        return take_in_once(session, intake, take)


def put(
    session: Session,
    manifest: Manifest,
    manifest_sha256: str,
    origin: Origin,
    screentime: ScreenTime | None,
    *,
    is_new: bool,
) -> dict[str, int]:
    """Make a run's rows, in the place of those of an earlier revision; how many, by table. People
    are not among them where their time was not measured, and a run that is not completed has none.

    Rows are a function of the manifest, the screen time and where they were read; those that were
    read from a store are kept when the same manifest comes from a run's own folder.
    """
    is_kept = False
    if not is_new:
        there = session.one(queries("product")["run"], identity_of(manifest)) or {}
        is_same = there.get("manifest_sha256") == manifest_sha256
        is_kept = is_same and run_at(there["manifest_key"]) is not None
        if not is_kept:
            session.do(queries("product")["drop_run"], identity_of(manifest))
    if manifest.status is not RunState.SUCCESS:
        return {}
    if not is_kept:
        for statement, values in statements(manifest, manifest_sha256, origin, screentime):
            session.do(statement, values)
    people = {PEOPLE: len(screentime.people)} if screentime else {}
    return {RUNS: 1, ARTIFACTS: len(manifest.artifact_refs)} | people


def statements(
    manifest: Manifest, manifest_sha256: str, origin: Origin, screentime: ScreenTime | None
) -> Iterator[tuple[LiteralString, dict[str, Any]]]:
    """What makes a run's rows where there are none: a statement a table, with its values."""
    sql = queries("product")
    run = identity_of(manifest)
    yield sql["add_run"], run | _of_run(manifest, manifest_sha256, origin)
    artifacts = [
        {"stage": stage, **ref.model_dump(mode="json")} for stage, _, ref in manifest.artifact_refs
    ]
    yield sql["add_artifacts"], run | {"artifacts": Jsonb(artifacts)}
    if screentime and screentime.people:
        people = [person.model_dump(mode="json") for person in screentime.people]
        yield sql["add_people"], run | _source(manifest) | {"people": Jsonb(people)}


def _of_run(manifest: Manifest, manifest_sha256: str, origin: Origin) -> dict[str, Any]:
    return {
        "source": origin.source,
        "manifest_key": origin.manifest_key,
        "manifest_sha256": manifest_sha256,
        "schema_version": manifest.schema_version,
        "pipeline": manifest.pipeline,
        "model_profile": manifest.profile,
        "config_hash": manifest.config_hash,
        "input_hash": manifest.asset.input_hash,
        "created_at": manifest.created_at,
        "finished_at": manifest.updated_at,
    }


def _source(manifest: Manifest) -> dict[str, Any]:
    """The file that people's numbers stand in."""
    ref = manifest.the_file_of(SCREENTIME)
    assert ref is not None
    return {"artifact_key": ref.key, "artifact_schema_version": ref.schema_version}
