"""Erasure of a person from the files of an episode, and of words from logs."""

import json
from pathlib import Path

import pytest

from filmgate.core.erasure import Subject, Traces
from filmgate.core.files import FileContract
from filmgate.core.people import Likeness, Person, Reference
from filmgate.core.plan import Producer
from filmgate.pipelines.episode import erasure
from filmgate.pipelines.episode.files import (
    FACE_MODEL,
    IDENTITIES,
    SCREENTIME,
    TRACK_FUSION,
    TRANSCRIPT,
)
from filmgate.pipelines.episode.records import FaceModel, Fusion, Identity
from filmgate.pipelines.episode.screen_times import PersonTime
from filmgate.store.event_log import mask_words
from support.published import person_time, screen_time

MODEL = Producer(name="net", version="1", weights_sha256="a" * 64)
LISA = Person(
    person_id="lisa",
    name="Lisa",
    references=(Reference(model="net", weights_sha256="a" * 64, vector=(1.0, 0.0)),),
)
BART = Person(
    person_id="bart",
    name="Bart",
    references=(Reference(model="net", weights_sha256="a" * 64, vector=(0.0, 1.0)),),
)


class Files:
    """Files of a run in memory."""

    def __init__(self, files: dict[FileContract, bytes]) -> None:
        self._files = {contract.path: data for contract, data in files.items()}

    def read(self, contract: FileContract) -> bytes | None:
        return self._files.get(contract.path)

    def put(self, files: dict[str, bytes]) -> None:
        self._files |= files


def identity(name: str, vector: tuple[float, ...], nearest: str | None = None) -> Identity:
    return Identity(
        identity_id=name,
        track_ids=(f"f{name}",),
        faces=1,
        first_ms=0,
        last_ms=10,
        is_singleton=True,
        spread=0.0,
        nearest_id=nearest,
        nearest_distance=0.5 if nearest else None,
        picture=f"{name}.png",
        vector=vector,
    )


def run_of(identities: list[Identity], *people: PersonTime) -> Files:
    model = FaceModel(producer=MODEL, dimensions=2, same_person=0.4, is_unit=False)
    return Files(
        {
            FACE_MODEL: model.model_dump_json().encode(),
            IDENTITIES: b"".join(one.model_dump_json().encode() + b"\n" for one in identities),
            SCREENTIME: screen_time(*people).model_dump_json().encode(),
        }
    )


def test_a_person_is_found_by_name_by_vector_and_by_recognition() -> None:
    named, near, known = identity("c1", (9.0, 9.0)), identity("c2", (1.1, 0.0)), "c3"
    files = run_of(
        [named, near, identity(known, (9.0, 0.0)), identity("c4", (0.0, 1.0))],
        person_time(known, person_id="lisa", name="Lisa"),
    )
    subject = Subject(person=LISA, others=(BART,), named={"c1": named.vector_sha256})
    found = erasure.find(files, subject)
    assert found.clusters == ("c1", "c2", "c3")
    assert found.tracks == ("fc1", "fc2", "fc3")


def test_a_cluster_that_a_user_named_after_someone_else_is_not_erased() -> None:
    near = identity("c1", (1.0, 0.0))
    subject = Subject(person=LISA, named_others={"c1": near.vector_sha256})
    assert erasure.find(run_of([near]), subject).is_empty


def test_a_name_given_to_an_earlier_clustering_does_not_count() -> None:
    subject = Subject(person=LISA, named={"c1": "d" * 64})
    assert erasure.find(run_of([identity("c1", (9.0, 9.0))]), subject).is_empty


def test_a_cluster_that_only_resembles_the_person_loses_the_name_but_stays() -> None:
    doubtful = identity("c1", (0.55, 0.0))
    unsure = (Likeness(person_id="lisa", name="Lisa", distance=0.45),)
    files = run_of([doubtful], person_time("c1", unsure=unsure))
    traces = erasure.find(files, Subject(person=LISA))
    assert (traces.clusters, traces.unsure) == ((), ("c1",))
    new = erasure.rewrite(files, LISA, traces)
    assert list(new) == [SCREENTIME.path]
    assert b"lisa" not in new[SCREENTIME.path].lower()
    assert len(json.loads(new[SCREENTIME.path])["people"]) == 1


def test_no_identity_is_compared_with_an_erased_one() -> None:
    files = run_of([identity("c1", (1.0, 0.0)), identity("c2", (0.0, 1.0), nearest="c1")])
    new = erasure.rewrite(files, LISA, Traces(clusters=("c1",), tracks=("fc1",)))
    (left,) = map(json.loads, new[IDENTITIES.path].splitlines())
    assert (left["identity_id"], left["nearest_id"], left["nearest_distance"]) == ("c2", None, None)


def test_a_body_keeps_the_faces_of_other_people() -> None:
    files = run_of([])
    links = [
        Fusion(
            body_track_id=f"b{number}",
            face_track_ids=faces,
            cluster_id=cluster,
            span_start_ms=0,
            span_end_ms=9,
            overlap_ms=9,
        )
        for number, (faces, cluster) in enumerate(
            [(("f1",), "c1"), (("f1", "f2"), "c2"), (("f1",), None)]
        )
    ]
    files.put({TRACK_FUSION.path: b"\n".join(one.model_dump_json().encode() for one in links)})
    new = erasure.rewrite(files, LISA, Traces(clusters=("c1",), tracks=("f1",)))
    left = [json.loads(line) for line in new[TRACK_FUSION.path].splitlines()]
    assert [(one["body_track_id"], one["face_track_ids"]) for one in left] == [("b1", ["f2"])]


def test_the_name_of_a_speaker_leaves_the_transcript_and_the_words_stay() -> None:
    files = run_of([])
    lines = [
        {
            "ordinal": number,
            "span_start_ms": 0,
            "span_end_ms": 5,
            "payload": {"text": text, "speaker": who, "confidence": None, "language": None},
        }
        for number, (text, who) in enumerate([("a", "Bart"), ("b", "LISA"), ("c", None)])
    ]
    files.put({TRANSCRIPT.path: "".join(f"{json.dumps(line)}\n" for line in lines).encode()})
    traces = erasure.find(files, Subject(person=LISA))
    assert traces.mentions == (TRANSCRIPT.path,)
    left = [
        json.loads(line)
        for line in erasure.rewrite(files, LISA, traces)[TRANSCRIPT.path].splitlines()
    ]
    assert {line["payload"]["text"]: line["payload"]["speaker"] for line in left} == {
        "a": "Bart",
        "b": None,
        "c": None,
    }
    assert [line["ordinal"] for line in left] == [0, 1, 2]


def test_an_erased_run_is_not_rewritten_again() -> None:
    files = run_of(
        [identity("c1", (1.0, 0.0)), identity("c2", (0.0, 1.0), nearest="c1")],
        person_time("c1", person_id="lisa", name="Lisa"),
        person_time("c2"),
    )
    traces = erasure.find(files, Subject(person=LISA))
    files.put(erasure.rewrite(files, LISA, traces))
    assert erasure.rewrite(files, LISA, traces) == {}


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("name Lisa, lisa and LISA", "name ****, **** and ****"),
        ("Lisabon and Melisa stay", "Lisabon and Melisa stay"),
        ('{"name":"Lisa"}', '{"name":"****"}'),
    ],
)
def test_whole_words_are_masked_in_logs_of_the_same_size(
    tmp_path: Path, line: str, masked: str
) -> None:
    path = tmp_path / "log.ndjson"
    path.write_text(line)
    assert mask_words(path, ["Lisa"]) == line.count("*") + masked.count("****")
    assert path.read_text() == masked


def test_a_name_that_json_escapes_is_masked_in_logs(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_text(json.dumps({"plain": "x", "name": "Zoë"}) + "Zoë")
    assert mask_words(path, ["Zoë"]) == 2
    assert "Zo" not in path.read_text()


def test_the_case_and_the_composition_of_letters_do_not_matter_in_logs(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("ZO\u00cb, zo\u00eb, Zoe\u0308, zoo\n")
    assert mask_words(path, ["Zo\u00eb"]) == 3
    assert path.read_text() == "****, ****, *****, zoo\n"
