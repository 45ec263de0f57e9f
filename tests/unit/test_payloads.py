"""Contracts hold what they promise, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filmgate.core.envelope import ArtifactLine, artifact_id
from filmgate.core.errors import Invalid, SchemaNotFoundError
from filmgate.core.moments import MAX_MS
from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.detections import FaceDetectionV1
from filmgate.core.payloads.geometry import BoundingBox
from filmgate.core.payloads.ocr import OcrTextV1
from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.place import AlternativeLabel, PlaceClassificationV1
from filmgate.core.payloads.registry import Registry
from filmgate.core.payloads.scene import SceneV1
from filmgate.core.payloads.transcript import TranscriptSegmentV1


class SceneV2(Payload):
    name: str


class SceneV3(SceneV2):
    is_long: bool


LIFTED = Registry(
    [
        ArtifactType(name="scene", version=1, model=SceneV1),
        ArtifactType(
            name="scene",
            version=2,
            model=SceneV2,
            lift=lambda old: {"name": f"scene {old['scene_index']}"},
        ),
        ArtifactType(
            name="scene", version=3, model=SceneV3, lift=lambda old: old | {"is_long": False}
        ),
    ]
)

no_nul = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
index = st.integers(0, 2**31 - 1)
sure = st.none() | st.floats(0, 1)
boxes = st.builds(
    BoundingBox,
    x=st.floats(-1e6, 1e6),
    y=st.floats(-1e6, 1e6),
    width=st.floats(0, 1e6),
    height=st.floats(0, 1e6),
)
scenes = st.builds(
    SceneV1,
    scene_index=index,
    method=no_nul,
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    frame_number=index,
)
segments = st.builds(
    TranscriptSegmentV1,
    text=no_nul,
    speaker=st.none() | no_nul,
    confidence=sure,
    language=st.none() | st.just("en"),
)
faces = st.builds(
    FaceDetectionV1,
    confidence=sure,
    bounding_box=boxes,
    cluster_id=st.none() | no_nul,
    frame_number=index,
)
places = st.builds(
    PlaceClassificationV1,
    label=no_nul,
    confidence=sure,
    alternative_labels=st.lists(
        st.builds(AlternativeLabel, label=no_nul, confidence=sure), max_size=3
    ).map(tuple),
    frame_number=index,
)
shown = st.builds(
    OcrTextV1,
    text=no_nul,
    confidence=sure,
    bounding_box=st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=3, max_size=6
    ).map(tuple),
    language=st.none() | st.just("en"),
    frame_number=index,
)


@given(scenes | segments | faces | places | shown)
def test_a_payload_survives_json(payload: Payload) -> None:
    assert type(payload).model_validate_json(payload.canonical()) == payload


@pytest.mark.parametrize(
    "wrong",
    [{"extra": 1}, {"scene_index": -1}, {"score": float("nan")}, {"method": ""}],
)
def test_a_payload_with_anything_undeclared_or_out_of_range_is_refused(
    wrong: dict[str, object],
) -> None:
    good: dict[str, object] = {"scene_index": 0, "method": "cut", "score": 1, "frame_number": 0}
    SceneV1.model_validate(good)
    with pytest.raises(ValidationError):
        SceneV1.model_validate(good | wrong)


def test_an_unknown_type_or_version_is_told_by_name() -> None:
    for artifact_type, version in (("hologram", 1), ("scene", 99)):
        with pytest.raises(SchemaNotFoundError, match=rf"{artifact_type}.*version {version}"):
            BUILT_IN.model(artifact_type, version)


def test_several_versions_stand_side_by_side() -> None:
    assert LIFTED.model("scene", 1) is SceneV1
    assert LIFTED.model("scene", 2) is SceneV2
    assert LIFTED.types() == [("scene", 1), ("scene", 2), ("scene", 3)]


@given(scenes)
def test_an_old_payload_is_lifted_through_every_version_on_the_way(payload: SceneV1) -> None:
    lifted = LIFTED.lift("scene", 1, payload.model_dump(mode="json"), to=3)
    assert lifted == {"name": f"scene {payload.scene_index}", "is_long": False}
    assert LIFTED.lift("scene", 2, {"name": "x"}, to=2) == {"name": "x"}


def test_a_lift_that_is_not_there_or_leads_back_or_astray_is_refused() -> None:
    good = {"scene_index": 0, "method": "cut", "score": None, "frame_number": 0}
    with pytest.raises(SchemaNotFoundError, match="'scene' version 4"):
        LIFTED.lift("scene", 1, good, to=4)
    with pytest.raises(Invalid, match="cannot be converted to an earlier version"):
        LIFTED.lift("scene", 3, {"name": "x", "is_long": True}, to=2)
    with pytest.raises(Invalid, match="payload is not a valid scene version 3"):
        LIFTED.lift("scene", 2, {"name": 7}, to=3)
    orphan = Registry(
        ArtifactType(name="scene", version=n, model=m) for n, m in ((1, SceneV1), (2, SceneV2))
    )
    with pytest.raises(
        SchemaNotFoundError, match="scene version 1 cannot be upgraded to version 2"
    ):
        orphan.lift("scene", 1, good, to=2)


def test_two_contracts_of_one_type_and_version_are_refused() -> None:
    one, other = (ArtifactType(name="scene", version=1, model=m) for m in (SceneV1, SceneV2))
    assert Registry([one, one]).types() == [("scene", 1)]
    with pytest.raises(Invalid, match="scene version 1 is registered twice"):
        Registry([one, other])


@pytest.mark.parametrize("name", ["", "Scene", "a b", "a..b", "a:b", "a/b", "1a", "a."])
def test_a_type_is_called_so_that_its_name_is_safe_in_ids_and_paths(name: str) -> None:
    with pytest.raises(ValueError, match=r"artifact type .* is invalid"):
        ArtifactType(name=name, version=1, model=SceneV1)


@given(st.integers(0, MAX_MS), st.integers(0, MAX_MS))
def test_a_record_never_ends_before_it_starts(start: int, end: int) -> None:
    fields = {"ordinal": 0, "span_start_ms": start, "span_end_ms": end, "payload": {}}
    if start <= end:
        line = ArtifactLine.model_validate(fields)
        assert ArtifactLine.model_validate_json(line.to_bytes()) == line
    else:
        with pytest.raises(ValidationError, match="ends before it starts"):
            ArtifactLine.model_validate(fields)


def test_an_artifact_id_is_readable() -> None:
    assert artifact_id("film", "r1", "scene", 7) == "film:r1:scene:7"
