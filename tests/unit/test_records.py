"""A record that was torn, altered or renamed is no record."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.errors import Invalid
from filmgate.core.records import StageError, StageRecord
from filmgate.core.states import StageState
from support.runs import MOMENT

records = st.builds(
    StageRecord,
    asset_id=st.just("film"),
    run_id=st.just("r1"),
    stage=st.sampled_from(["probe", "scenes"]),
    attempt=st.integers(1, 9),
    epoch=st.integers(1, 9),
    status=st.sampled_from([StageState.SUCCESS, StageState.FAILED, StageState.SKIPPED]),
    started=st.just(MOMENT),
    ended=st.just(MOMENT),
    duration_s=st.floats(0, 1e6),
    counts=st.dictionaries(st.text(max_size=8), st.integers(0, 10**9), max_size=3),
    metrics=st.dictionaries(st.text(max_size=8), st.none() | st.floats(0, 1), max_size=3),
    error=st.none() | st.builds(StageError, code=st.just("x"), message=st.text(min_size=1)),
)


@given(records)
def test_a_record_survives_its_file(record: StageRecord) -> None:
    assert StageRecord.parse(record.to_bytes(), record.name) == record


@given(records, st.data())
def test_a_torn_record_is_refused(record: StageRecord, data: st.DataObject) -> None:
    whole = record.to_bytes()
    torn = whole[: data.draw(st.integers(0, len(whole) - 3))]
    with pytest.raises(Invalid, match=r"cannot be read|was altered"):
        StageRecord.parse(torn, record.name)


@given(records)
def test_an_altered_record_is_refused_with_both_digests(record: StageRecord) -> None:
    body = json.loads(record.to_bytes())
    body["epoch"] += 1
    with pytest.raises(Invalid, match="was altered") as caught:
        StageRecord.parse(json.dumps(body).encode(), record.name)
    assert record.digest in str(caught.value)


@given(records)
def test_a_record_under_another_name_is_refused(record: StageRecord) -> None:
    with pytest.raises(Invalid, match="was altered"):
        StageRecord.parse(record.to_bytes(), "other.a1.json")
