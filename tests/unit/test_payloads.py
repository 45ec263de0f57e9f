"""Contracts hold what they promise, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filmgate.core.envelope import ArtifactLine, artifact_id
from filmgate.core.errors import SchemaNotFoundError
from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.registry import BUILT_IN, Registry
from filmgate.core.payloads.scene import SceneV1
from filmgate.core.payloads.transcript import TranscriptSegmentV1
from filmgate.core.questions import MAX_MS

scenes = st.builds(
    SceneV1,
    scene_index=st.integers(0),
    method=st.text(min_size=1),
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    frame_number=st.integers(0),
)
segments = st.builds(
    TranscriptSegmentV1,
    text=st.text(min_size=1),
    speaker=st.none() | st.text(min_size=1),
    confidence=st.none() | st.floats(0, 1),
    language=st.none() | st.text(min_size=2),
)


@given(scenes | segments)
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
    class SceneV2(Payload):
        name: str

    registry = Registry({("scene", 1): SceneV1, ("scene", 2): SceneV2})
    assert registry.model("scene", 1) is SceneV1
    assert registry.model("scene", 2) is SceneV2
    assert registry.types() == [("scene", 1), ("scene", 2)]


@given(st.integers(0, MAX_MS), st.integers(0, MAX_MS))
def test_a_record_never_ends_before_it_starts(start: int, end: int) -> None:
    fields = {"ordinal": 0, "span_start_ms": start, "span_end_ms": end, "payload": {}}
    if start <= end:
        line = ArtifactLine.model_validate(fields)
        assert ArtifactLine.model_validate_json(line.to_bytes()) == line
    else:
        with pytest.raises(ValidationError, match="starts before it ends"):
            ArtifactLine.model_validate(fields)


def test_an_artifact_id_is_readable() -> None:
    assert artifact_id("film", "r1", "scene", 7) == "film:r1:scene:7"
