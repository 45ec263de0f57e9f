"""Two views of a stage become one, whatever order they arrive in."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.states import RunState, StageState, StageView, merge, run_state

views = st.builds(
    StageView,
    state=st.sampled_from([state for state in StageState if state is not StageState.BLOCKED]),
    attempt=st.integers(0, 3),
    epoch=st.integers(0, 3),
)


@given(st.lists(views, max_size=4))
def test_a_merge_does_not_depend_on_order_or_repetition(seen: list[StageView]) -> None:
    assert len({merge([*order, *order]) for order in permutations(seen)}) == 1


@given(st.lists(views, min_size=1, max_size=6), st.integers(0, 5))
def test_merging_in_parts_is_merging_at_once(seen: list[StageView], cut: int) -> None:
    assert merge([merge(seen[:cut]), merge(seen[cut:])]) == merge(seen)


@given(views, views)
def test_a_success_is_never_lost_to_another_word_on_the_same_attempt(
    one: StageView, other: StageView
) -> None:
    if StageState.SUCCESS in (one.state, other.state) and (one.attempt, one.epoch) == (
        other.attempt,
        other.epoch,
    ):
        assert merge([one, other]).state is StageState.SUCCESS


def test_blocked_is_a_verdict_and_no_view() -> None:
    with pytest.raises(ValueError, match="verdict"):
        StageView(state=StageState.BLOCKED, attempt=1, epoch=1)


@pytest.mark.parametrize(
    ("stages", "state"),
    [
        ("SUCCESS SKIPPED", RunState.SUCCESS),
        ("SUCCESS FAILED PENDING", RunState.FAILED),
        ("SUCCESS BLOCKED", RunState.FAILED),
        ("SUCCESS PENDING", RunState.INCOMPLETE),
        ("SUCCESS RUNNING", RunState.INCOMPLETE),
    ],
)
def test_a_run_is_what_its_stages_are(stages: str, state: RunState) -> None:
    states = [StageState(name) for name in stages.split()]
    assert run_state(states, is_held=False) is state
    assert run_state(states, is_held=True) is RunState.RUNNING
