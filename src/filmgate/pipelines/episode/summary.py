"""The summary of an episode: one row of `screenalytics.person_metrics` per person."""

import json
from collections.abc import Mapping
from functools import cache, partial

from filmgate.core.database import WriteSession, read_queries
from filmgate.core.manifest import Manifest
from filmgate.core.records import ArtifactRef
from filmgate.core.summaries import FinishedRun, Summary, WriteRows
from filmgate.pipelines.episode.screen_times import SCREENTIME, ScreenTime

TABLE = "screenalytics.person_metrics"


@cache
def add_people() -> str:
    """Return the statement that inserts the rows; its parameters: `people_row`."""
    return read_queries("filmgate.pipelines.episode", "screen_times")["add_people"]


def people_row(manifest: Manifest, ref: ArtifactRef, times: ScreenTime) -> Mapping[str, str | int]:
    """Return the parameters of `add_people`. `ref`: the file of the screen times."""
    return {
        "producer": manifest.producer,
        "asset_id": manifest.asset.id,
        "run_id": manifest.run_id,
        "artifact_key": ref.key,
        "artifact_schema_version": ref.schema_version,
        "people": json.dumps([person.model_dump(mode="json") for person in times.people]),
    }


def write_people(
    session: WriteSession, *, manifest: Manifest, ref: ArtifactRef, times: ScreenTime
) -> Mapping[str, int]:
    """Insert the rows of a run; return their number."""
    if times.people:
        session.execute(add_people(), people_row(manifest, ref, times))
    return {TABLE: len(times.people)}


def _read(run: FinishedRun) -> WriteRows | None:
    ref = run.find(SCREENTIME)
    if ref is None:
        return None
    times = run.read(SCREENTIME, ScreenTime, is_strict=True)
    return partial(write_people, manifest=run.manifest, ref=ref, times=times)


SUMMARY = Summary(read=_read, is_for_products=True)
