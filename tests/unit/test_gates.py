"""A gate says everything that is wrong, with what to do about it."""

import pytest

from filmgate.core.gates import FileFacts, ReasonCode, UpstreamState, check_upstreams
from filmgate.core.records import ArtifactRef
from filmgate.core.states import StageState

SHA = "a" * 64


def ref(path: str, *, version: int = 1) -> ArtifactRef:
    return ArtifactRef(
        key=path,
        path=path,
        sha256=SHA,
        size_bytes=10,
        media_type="application/json",
        schema_name="test",
        schema_version=version,
        records=1,
        artifact_type=None,
    )


def success(*refs: ArtifactRef) -> UpstreamState:
    return UpstreamState(
        stage="upstream",
        state=StageState.SUCCESS,
        artifacts=refs,
        supported={each.path: 1 for each in refs},
    )


def test_a_gate_is_open_when_every_file_is_what_the_record_says() -> None:
    facts = {"a.json": FileFacts(size_bytes=10, sha256=SHA)}
    assert check_upstreams("stage", [success(ref("a.json"))], facts).is_open


def test_all_reasons_are_told_at_once_each_with_expected_got_and_action() -> None:
    facts = {"b.json": FileFacts(size_bytes=9, sha256="b" * 64), "c.json": FileFacts(10, SHA)}
    upstream = success(ref("a.json"), ref("b.json"), ref("c.json", version=7))
    verdict = check_upstreams("stage", [upstream], facts)
    assert [(reason.code, reason.path) for reason in verdict.reasons] == [
        (ReasonCode.MISSING_ARTIFACT, "a.json"),
        (ReasonCode.DIGEST_MISMATCH, "b.json"),
        (ReasonCode.SCHEMA_VERSION_UNSUPPORTED, "c.json"),
    ]
    assert all(reason.expected and reason.got and reason.action for reason in verdict.reasons)
    assert SHA in verdict.reasons[1].expected
    assert "b" * 64 in verdict.reasons[1].got


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (StageState.FAILED, ReasonCode.UPSTREAM_FAILED),
        (StageState.PENDING, ReasonCode.UPSTREAM_NOT_SUCCESS),
        (StageState.RUNNING, ReasonCode.UPSTREAM_NOT_SUCCESS),
    ],
)
def test_a_stage_below_that_is_no_success_closes_the_gate(
    state: StageState, code: ReasonCode
) -> None:
    verdict = check_upstreams("stage", [UpstreamState(stage="upstream", state=state)], {})
    assert [reason.code for reason in verdict.reasons] == [code]


def test_a_stage_below_that_was_skipped_closes_no_gate() -> None:
    assert check_upstreams("s", [UpstreamState(stage="u", state=StageState.SKIPPED)], {}).is_open
