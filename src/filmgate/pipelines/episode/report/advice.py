"""Advice for the report: which results to check by hand, and which settings to change."""

from collections.abc import Iterable, Iterator, Mapping

from filmgate.core.records import StageRecord
from filmgate.core.states import StageState
from filmgate.pipelines.episode.records import Identity
from filmgate.pipelines.episode.screen_times import ScreenTime

LOOKALIKE_FACTOR = 1.2
"""Two identities whose distance is below this multiple of `same_person` may be one person."""

MAX_UNIDENTIFIED_SHARE = 0.1
"""Share of the video with unidentified faces above which the report mentions them."""


def advise(
    records: Mapping[str, StageRecord], identities: Iterable[Identity], times: ScreenTime | None
) -> list[str]:
    """Return the advice as sentences, the most serious first; empty if nothing looks wrong."""
    found = [*_not_done(records), *_warnings(records)]
    if times is not None:
        found += [*_lookalikes(records, identities), *_people(times)]
    return list(dict.fromkeys(found))


def _not_done(records: Mapping[str, StageRecord]) -> Iterator[str]:
    for name, record in records.items():
        if record.status is StageState.SKIPPED:
            yield f"{name} was skipped: {record.reason}."


def _warnings(records: Mapping[str, StageRecord]) -> Iterator[str]:
    for name, record in records.items():
        for warning in record.warnings:
            yield f"{name}: {warning.get('message', '')}."


def _lookalikes(
    records: Mapping[str, StageRecord], identities: Iterable[Identity]
) -> Iterator[str]:
    record = records.get("cluster")
    same_person = record.metrics.get("same_person") if record else None
    if not isinstance(same_person, float):
        return
    for identity in identities:
        if identity.nearest_id is None or identity.nearest_distance is None:
            continue
        is_first = identity.identity_id < identity.nearest_id
        if is_first and identity.nearest_distance < LOOKALIKE_FACTOR * same_person:
            yield (
                f"{identity.identity_id} and {identity.nearest_id} look alike (distance "
                f"{identity.nearest_distance:.2f}; one person up to {same_person:.2f}): "
                "check whether they are the same person; if so, give both the same name."
            )


def _people(times: ScreenTime) -> Iterator[str]:
    unsure = [person for person in times.people if person.unsure]
    for person in unsure:
        names = " or ".join(likeness.name for likeness in person.unsure[:3])
        yield f"{person.identity_id} may be {names}, but not surely. Name it by hand."
    if (
        times.duration_ms
        and times.unidentified_face_ms > MAX_UNIDENTIFIED_SHARE * times.duration_ms
    ):
        share = times.unidentified_face_ms / times.duration_ms
        yield (
            f"Unidentified faces are visible during {share:.0%} of the video: they are too small, "
            "blurred or turned away to be compared (faces.min_size_px, faces.min_sharpness)."
        )
