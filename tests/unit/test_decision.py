"""What an invocation does with a stage, decided from values alone."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from filmgate.core.errors import Unavailable
from filmgate.core.gates import ReasonCode, stage_disabled
from filmgate.core.manifest import Ledger, UnrecordedAttempt
from filmgate.core.plan import Done, Outcome, Plan, Producer, Settings, SkipCause, Skipped, stage
from filmgate.core.ports import StageContext
from filmgate.core.records import Asset, Fingerprint, Lineage, RunHead, StageError, StageRecord
from filmgate.core.states import StageState
from filmgate.engine.decision import (
    Block,
    Decision,
    Reuse,
    Run,
    RunCause,
    Situation,
    Skip,
    decide,
    find_skip,
    skip_reason,
)

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DIGEST = "sha256:" + "0" * 64


@stage()
def first(context: StageContext, settings: Settings) -> Outcome:
    """Do nothing."""
    return Done(producer=Producer(name="tests", version="1"))


@stage(requires=["first"])
def second(context: StageContext, settings: Settings) -> Outcome:
    """Do nothing."""
    return Done(producer=Producer(name="tests", version="1"))


PLAN = Plan(pipeline="two", stages=(first, second))
HEAD = RunHead.of(
    PLAN,
    config=PLAN.config({}),
    producer="tests",
    asset=Asset(id="a", input_hash=DIGEST, uri="file:///a", size_bytes=1, media={}),
    source_sha_map={},
    run_id="r",
    env="test",
    profile="balanced",
    created_at=MOMENT,
)
NO_SKIP = Skipped("no model", cause=SkipCause.NO_PROVIDER)


def fingerprint(version: int = 1) -> Fingerprint:
    return Fingerprint(
        stage="second", version=version, config=DIGEST, sources={}, inputs={}, tools={}
    )


def record(status: StageState = StageState.SUCCESS, **fields: Any) -> StageRecord:
    return StageRecord(
        asset_id="a",
        run_id="r",
        stage="second",
        attempt=1,
        epoch=1,
        status=status,
        started=MOMENT,
        ended=MOMENT,
        duration_s=1.0,
        fingerprint=fingerprint(),
        **fields,
    )


def decide_second(
    *records: StageRecord,
    now: Callable[[], Fingerprint] = fingerprint,
    is_intact: bool = True,
    attempts: tuple[UnrecordedAttempt, ...] = (),
    **situation: Any,
) -> Decision:
    ledger = Ledger(head=HEAD, records=records, unrecorded_attempts=attempts)
    return decide(
        Situation(stage=second, ledger=ledger, **situation), now, lambda _record: is_intact
    )


def run_cause(*records: StageRecord, **options: Any) -> tuple[RunCause, str]:
    decision = decide_second(*records, **options)
    assert isinstance(decision, Run)
    return decision.cause, decision.why


def fail_to_find_a_tool() -> Fingerprint:
    raise Unavailable("dlib is not installed")


def test_a_closed_gate_blocks_a_stage_without_computing_its_fingerprint() -> None:
    reasons = (stage_disabled("second"),)
    assert decide_second(record(), reasons=reasons, now=fail_to_find_a_tool) == Block(
        reasons=reasons
    )


def test_a_missing_tool_blocks_a_stage() -> None:
    decision = decide_second(record(), now=fail_to_find_a_tool)
    assert isinstance(decision, Block)
    assert [reason.code for reason in decision.reasons] == [ReasonCode.PROVIDER_UNAVAILABLE]
    assert decision.reasons[0].got == "dlib is not installed"


def test_an_unchanged_success_with_intact_files_is_reused_also_if_the_stage_is_disabled() -> None:
    assert decide_second(record()) == Reuse(fingerprint=fingerprint())
    assert decide_second(record(), skip=NO_SKIP) == Reuse(fingerprint=fingerprint())


@pytest.mark.parametrize("status", [None, StageState.FAILED, StageState.SKIPPED])
def test_a_stage_that_is_not_up_to_date_is_skipped_if_it_lacks_something(
    status: StageState | None,
) -> None:
    records = (record(status),) if status else ()
    expected = Skip(fingerprint=fingerprint(), outcome=NO_SKIP)
    assert decide_second(*records, skip=NO_SKIP) == expected
    assert decide_second(record(), skip=NO_SKIP, is_forced=True) == expected


def test_a_stage_runs_for_the_first_cause_that_applies() -> None:
    failed = record(StageState.FAILED, error=StageError(code="x", message="no memory"))
    skipped = record(StageState.SKIPPED, reason="no words")
    opened = UnrecordedAttempt(stage="second", attempt=1, epoch=1, started=MOMENT)
    assert run_cause() == (RunCause.FIRST_RUN, "has not run yet")
    assert run_cause(attempts=(opened,)) == (RunCause.INTERRUPTED, "was interrupted")
    assert run_cause(record(), is_forced=True) == (RunCause.FORCED, "forced")
    assert run_cause(failed) == (RunCause.FAILED_BEFORE, "failed before: no memory")
    assert run_cause(skipped) == (RunCause.SKIPPED_BEFORE, "was skipped before: no words")
    newer = run_cause(failed, now=lambda: fingerprint(version=2))
    assert newer == (RunCause.CHANGED, "changed: version")
    altered, _ = run_cause(record(), is_intact=False)
    assert altered is RunCause.ALTERED


def test_a_lost_upstream_record_counts_only_if_no_upstream_stage_may_run() -> None:
    orphan = record(lineage=(Lineage(stage="first", record="1" * 64),))
    assert run_cause(orphan)[0] is RunCause.ALTERED
    assert isinstance(decide_second(orphan, is_upstream_open=True), Reuse)


def test_a_skipped_upstream_stage_takes_precedence_over_a_disabled_stage() -> None:
    config = PLAN.config({"second": {"enabled": False}})
    disabled = find_skip(second, config, {})
    after_skip = find_skip(second, config, {"first": "no words"})
    assert disabled is not None
    assert after_skip is not None
    assert disabled.cause is SkipCause.DISABLED
    assert after_skip.cause is SkipCause.UPSTREAM_SKIPPED
    assert after_skip.reason == "first was skipped: no words"
    assert find_skip(second, HEAD.config, {"other": "no words"}) is None


def test_the_cause_of_a_skip_decides_its_reason_and_its_text_does_not() -> None:
    text = "switched off in the run's config"
    unspecified = skip_reason("s", SkipCause.UNSPECIFIED, text)
    assert unspecified.code is ReasonCode.PROVIDER_UNAVAILABLE
    assert skip_reason("s", SkipCause.DISABLED, "any text").code is ReasonCode.STAGE_DISABLED


def test_a_skip_with_only_a_reason_has_no_specified_cause() -> None:
    assert Skipped("no words").cause is SkipCause.UNSPECIFIED
    assert Skipped(reason="no words") == Skipped("no words")
