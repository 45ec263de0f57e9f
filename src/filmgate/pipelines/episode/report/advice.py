"""What likely needs a look or another setting, in plain words, from what was measured."""

from collections.abc import Iterable, Iterator, Mapping

from filmgate.core.records import StageRecord
from filmgate.core.screentime import ScreenTime
from filmgate.core.states import StageState
from filmgate.pipelines.episode.records import Identity

NEAR = 1.2
"""Two people whose distance is less than so many times that of one person may be one."""

MUCH_UNIDENTIFIED = 0.1
"""Share of the film with faces of nobody, beyond which that is worth a word."""


def advise(
    records: Mapping[str, StageRecord], identities: Iterable[Identity], times: ScreenTime | None
) -> list[str]:
    """Sentences, the gravest first; none where nothing looks wrong."""
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
    for each in identities:
        if each.nearest_id is None or each.nearest_distance is None:
            continue
        is_first = each.identity_id < each.nearest_id
        if is_first and each.nearest_distance < NEAR * same_person:
            yield (
                f"{each.identity_id} and {each.nearest_id} look alike (distance "
                f"{each.nearest_distance:.2f}; one person up to {same_person:.2f}): "
                "see whether they are one, and give both one name if so."
            )


def _people(times: ScreenTime) -> Iterator[str]:
    unsure = [person for person in times.people if person.unsure]
    for person in unsure:
        names = " or ".join(each.name for each in person.unsure[:3])
        yield f"{person.identity_id} may be {names}: not sure enough. Name it by hand."
    if times.duration_ms and times.unidentified_face_ms > MUCH_UNIDENTIFIED * times.duration_ms:
        share = times.unidentified_face_ms / times.duration_ms
        yield (
            f"Faces of nobody are seen during {share:.0%} of the film: too small, blurred or "
            "turned away to be compared (faces.min_size_px, faces.min_sharpness)."
        )
