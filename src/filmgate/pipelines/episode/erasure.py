"""Erasure of a person from the files of an episode run.

All records about the person's face tracks leave the files, as if the tracks had not been found, and
with them the vectors, the crops, the screen time and the name. Boxes of bodies without a face stay.
What the film itself shows and says stays, too, apart from the names of
speakers in the transcript.
"""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel

from filmgate.core.digest import JsonDict, canonical_json
from filmgate.core.envelope import ArtifactLine
from filmgate.core.erasure import PersonErasure, RunContents, Subject, Traces
from filmgate.core.files import FileContract
from filmgate.core.people import KnownPeople, Person
from filmgate.pipelines.episode.files import (
    APPEARANCES,
    DETECTIONS,
    FACE_CROPS,
    FACE_DETECTIONS,
    FACE_MODEL,
    FACE_VECTORS,
    FACES,
    IDENTITIES,
    SCREENTIME,
    SCREENTIME_TABLE,
    SEGMENTS,
    TRACK_FUSION,
    TRACKS,
    TRANSCRIPT,
)
from filmgate.pipelines.episode.records import Face, FaceModel, Fusion, Identity
from filmgate.pipelines.episode.rules.recognition import Recognition, recognise
from filmgate.pipelines.episode.screen_times import PersonTime, ScreenTime
from filmgate.pipelines.episode.stages.cluster import MIN_LENGTH
from filmgate.pipelines.episode.stages.pdf import NAME as REPORT_STAGE

Record = TypeVar("Record", bound=BaseModel)


def find(run: RunContents, subject: Subject) -> Traces:
    """Find the clusters that show a person, their tracks, and the files that name the person.

    A cluster shows the person if a user named it so, if the run recognised the person in it, or if
    the person is recognised by its vector now.
    """
    identities = list(_records(run, IDENTITIES, Identity))
    times = {person.identity_id: person for person in _screen_times(run)}
    shown: list[Identity] = []
    unsure: list[str] = []
    for identity in identities:
        is_shown = _shows(run, identity, times.get(identity.identity_id), subject)
        if is_shown:
            shown.append(identity)
        elif is_shown is None:
            unsure.append(identity.identity_id)
    clusters = tuple(identity.identity_id for identity in shown)
    clustered = {track for identity in identities for track in identity.track_ids}
    others = [times[name] for name in times if name not in clusters]
    mentions = []
    if any(_names(person, subject.person) for person in others):
        mentions += [SCREENTIME.path, SCREENTIME_TABLE.path, SEGMENTS.path]
    if any(_is_speaker(line.payload, subject.person) for line in _lines(run.read(TRANSCRIPT))):
        mentions.append(TRANSCRIPT.path)
    return Traces(
        clusters=clusters,
        tracks=(
            *(track for identity in shown for track in identity.track_ids),
            *_unclustered_tracks(run, subject, clustered),
        ),
        mentions=tuple(mentions),
        unsure=tuple(unsure),
    )


def _shows(
    run: RunContents, identity: Identity, time: PersonTime | None, subject: Subject
) -> bool | None:
    """Whether an identity is the person; None if it only resembles the person."""
    name, person = identity.identity_id, subject.person
    if subject.named.get(name) == identity.vector_sha256:
        return True
    if subject.named_others.get(name) == identity.vector_sha256:
        return False
    if time is not None and time.person_id == person.person_id:
        return True
    data = run.read(FACE_MODEL)
    if data is None:
        return False
    found = _recognise(identity.vector, FaceModel.model_validate_json(data), subject)
    is_doubtful = any(other.person_id == person.person_id for other, _ in found.unsure)
    was_doubtful = time is not None and any(
        likeness.person_id == person.person_id for likeness in time.unsure
    )
    if found.person is not None and found.person.person_id == person.person_id:
        return None if was_doubtful else True
    return None if is_doubtful or was_doubtful else False


def _recognise(vector: Sequence[float], model: FaceModel, subject: Subject) -> Recognition:
    everyone = KnownPeople(people=(subject.person, *subject.others))
    return recognise(vector, model.producer, everyone, same_person=model.same_person)


def _unclustered_tracks(
    run: RunContents, subject: Subject, clustered: Collection[str]
) -> Iterator[str]:
    """Yield the tracks that show the person in a run whose faces were not clustered."""
    faces: dict[str, list[int]] = {}
    for face in _records(run, FACES, Face):
        if face.track_id not in clustered:
            faces.setdefault(face.track_id, []).append(face.face_index)
    data, vectors = run.read(FACE_MODEL), run.read(FACE_VECTORS)
    if not faces or data is None or vectors is None:
        return
    import numpy as np  # slow to import

    model = FaceModel.model_validate_json(data)
    table = np.load(io.BytesIO(vectors), allow_pickle=False)
    for track, rows in faces.items():
        mean = table[rows].mean(axis=0)
        if model.is_unit:
            mean = mean / max(float(np.linalg.norm(mean)), MIN_LENGTH)
        found = _recognise([float(value) for value in mean], model, subject).person
        if found is not None and found.person_id == subject.person.person_id:
            yield track


def rewrite(run: RunContents, person: Person, traces: Traces) -> dict[str, bytes]:
    """Return the new bytes of every file that contains records about the person, by path."""
    clusters, tracks = frozenset(traces.clusters), frozenset(traces.tracks)

    def has_track(payload: JsonDict) -> bool:
        return payload.get("track_id") in tracks

    def has_cluster(payload: JsonDict) -> bool:
        return payload.get("cluster_id") in clusters

    new = {
        DETECTIONS: _without_records(run.read(DETECTIONS), has_track),
        TRACKS: _without_artifacts(run.read(TRACKS), has_track),
        **_rewrite_faces(run, tracks),
        IDENTITIES: _rewrite_identities(run, clusters),
        FACE_DETECTIONS: _without_artifacts(run.read(FACE_DETECTIONS), has_cluster),
        TRACK_FUSION: _rewrite_fusion(run, clusters, tracks),
        TRANSCRIPT: _rewrite_transcript(run.read(TRANSCRIPT), person),
        SCREENTIME: _rewrite_screen_time(run.read(SCREENTIME), person, clusters),
        SCREENTIME_TABLE: _rewrite_table(run.read(SCREENTIME_TABLE), person, clusters),
        APPEARANCES: _without_artifacts(run.read(APPEARANCES), has_cluster),
        SEGMENTS: _rewrite_segments(run.read(SEGMENTS), person, clusters),
    }
    return {
        contract.path: data
        for contract, data in new.items()
        if data is not None and data != run.read(contract)
    }


def _records(run: RunContents, contract: FileContract, model: type[Record]) -> Iterator[Record]:
    for line in (run.read(contract) or b"").splitlines():
        yield model.model_validate_json(line)


def _lines(data: bytes | None) -> Iterator[ArtifactLine]:
    for line in (data or b"").splitlines():
        yield ArtifactLine.model_validate_json(line)


def _screen_times(run: RunContents) -> tuple[PersonTime, ...]:
    data = run.read(SCREENTIME)
    return ScreenTime.model_validate_json(data).people if data is not None else ()


def _encode(records: Iterable[BaseModel]) -> bytes:
    return b"".join(canonical_json(each.model_dump(mode="json")) + b"\n" for each in records)


def _without_records(data: bytes | None, is_erased: Callable[[JsonDict], bool]) -> bytes | None:
    """Return a file of records without the erased ones; the other lines do not change."""
    if data is None:
        return None
    lines = data.splitlines(keepends=True)
    return b"".join(line for line in lines if not is_erased(json.loads(line)))


def _without_artifacts(data: bytes | None, is_erased: Callable[[JsonDict], bool]) -> bytes | None:
    """Return a file of artifacts without the erased ones, with new ordinals."""
    if data is None:
        return None
    lines = list(_lines(data))
    left = [line for line in lines if not is_erased(line.payload)]
    return data if len(left) == len(lines) else _numbered(left)


def _numbered(lines: Iterable[ArtifactLine]) -> bytes:
    return b"".join(
        line.model_copy(update={"ordinal": number}).to_bytes() for number, line in enumerate(lines)
    )


def _rewrite_faces(
    run: RunContents, tracks: Collection[str]
) -> Mapping[FileContract, bytes | None]:
    """Return the faces, their vectors and crops without those of some tracks."""
    import numpy as np  # slow to import

    faces = list(_records(run, FACES, Face))
    left = [face for face in faces if face.track_id not in tracks]
    vectors, crops = run.read(FACE_VECTORS), run.read(FACE_CROPS)
    if len(left) == len(faces) or vectors is None or crops is None:
        return {}
    table = np.load(io.BytesIO(vectors), allow_pickle=False)
    array = io.BytesIO()
    rows = table[[face.face_index for face in left]]
    np.lib.format.write_array(array, rows, version=(1, 0), allow_pickle=False)
    return {
        FACES: _encode(
            face.model_copy(update={"face_index": number}) for number, face in enumerate(left)
        ),
        FACE_VECTORS: array.getvalue(),
        FACE_CROPS: _without_members(crops, {face.crop for face in left}),
    }


def _without_members(archive: bytes, names: Collection[str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(data, "w") as new:
        for member in old.infolist():
            if member.filename in names:
                new.writestr(zipfile.ZipInfo(member.filename, member.date_time), old.read(member))
    return data.getvalue()


def _rewrite_identities(run: RunContents, clusters: Collection[str]) -> bytes | None:
    """Remove the identities, and what compares other identities with them."""
    unknown = {"nearest_id": None, "nearest_distance": None}
    before = list(_records(run, IDENTITIES, Identity))
    left = [
        identity.model_copy(update=unknown if identity.nearest_id in clusters else {})
        for identity in before
        if identity.identity_id not in clusters
    ]
    return run.read(IDENTITIES) if left == before else _encode(left)


def _rewrite_fusion(
    run: RunContents, clusters: Collection[str], tracks: Collection[str]
) -> bytes | None:
    """Remove the links of bodies to the person's faces."""
    before = list(_records(run, TRACK_FUSION, Fusion))
    left = []
    for fusion in before:
        faces = tuple(track for track in fusion.face_track_ids if track not in tracks)
        if faces and fusion.cluster_id not in clusters:
            left.append(fusion.model_copy(update={"face_track_ids": faces}))
    return run.read(TRACK_FUSION) if left == before else _encode(left)


def _is_speaker(payload: JsonDict, person: Person) -> bool:
    return str(payload.get("speaker") or "").casefold() == person.name.casefold()


def _rewrite_transcript(data: bytes | None, person: Person) -> bytes | None:
    """Remove the person's name from the speakers."""
    lines = list(_lines(data))
    if not any(_is_speaker(line.payload, person) for line in lines):
        return data
    lines = [
        line.model_copy(update={"payload": {**line.payload, "speaker": None}})
        if _is_speaker(line.payload, person)
        else line
        for line in lines
    ]
    lines.sort(key=lambda one: (one.span_start_ms, one.span_end_ms, canonical_json(one.payload)))
    return _numbered(lines)


def _names(time: PersonTime, person: Person) -> bool:
    """Whether an identity was recognised as the person, or resembles the person."""
    people = {time.person_id, *(likeness.person_id for likeness in time.unsure)}
    return person.person_id in people


def _without_name(time: PersonTime, person: Person) -> PersonTime:
    unsure = tuple(each for each in time.unsure if each.person_id != person.person_id)
    is_recognised = time.person_id == person.person_id
    names = {"person_id": None, "name": None} if is_recognised else {}
    return time.model_copy(update={"unsure": unsure, **names})


def _rewrite_screen_time(
    data: bytes | None, person: Person, clusters: Collection[str]
) -> bytes | None:
    if data is None:
        return None
    times = ScreenTime.model_validate_json(data)
    left = tuple(
        _without_name(each, person) for each in times.people if each.identity_id not in clusters
    )
    return data if left == times.people else _encode([times.model_copy(update={"people": left})])


def _rewrite_table(data: bytes | None, person: Person, clusters: Collection[str]) -> bytes | None:
    if data is None:
        return None
    table = csv.DictReader(io.StringIO(data.decode(), newline=""))
    text = io.StringIO()
    writer = csv.DictWriter(text, table.fieldnames or (), lineterminator="\n")
    writer.writeheader()
    for row in table:
        if row["identity_id"] not in clusters:
            is_recognised = row["person_id"] == person.person_id
            writer.writerow({**row, "person_id": "", "name": ""} if is_recognised else row)
    return text.getvalue().encode()


def _rewrite_segments(
    data: bytes | None, person: Person, clusters: Collection[str]
) -> bytes | None:
    if data is None:
        return None
    import pyarrow as pa  # slow to import
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data))
    rows = table.to_pylist()
    left = [
        {**row, "identity": row["identity_id"]} if row["identity"] == person.name else row
        for row in rows
        if row["identity_id"] not in clusters
    ]
    if left == rows:
        return data
    left.sort(key=lambda row: (row["identity"], row["track_id"], row["segment_start"]))
    file = io.BytesIO()
    with pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(pa.Table.from_pylist(left, schema=table.schema))
    return file.getvalue()


ERASURE = PersonErasure(find=find, rewrite=rewrite, remake=(REPORT_STAGE,))
