"""What is served is what was selected, and never anything unfinished."""

from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.answers import DataSource
from filmgate.core.errors import NotFound, UsageError
from filmgate.core.ids import AssetId
from filmgate.core.questions import Direction, JumpKind, SelectionMode
from filmgate.core.selection import Selection
from filmgate.core.states import RunState
from filmgate.db.selections import Selections
from filmgate.db.serving import Serving
from support.archive import said, scene, take_in
from support.database import FILM, ON_THE_DATABASE

PROFILES = ("fast", "balanced", "high_quality", "strange")
QUALITY = {"high_quality": 3, "balanced": 2, "fast": 1, "strange": 0}


@dataclass(frozen=True)
class Ended:
    """A run that came in."""

    run_id: str
    profile: str
    status: RunState
    finished: int
    has_scenes: bool


@st.composite
def histories(draw: st.DrawFn) -> list[Ended]:
    """Some runs, no two of which ended at the same moment."""
    count = draw(st.integers(1, 5))
    moments = draw(st.permutations(range(count)))
    return [
        Ended(
            run_id=f"r{number}",
            profile=draw(st.sampled_from(PROFILES)),
            status=draw(st.sampled_from([RunState.SUCCESS, RunState.SUCCESS, RunState.FAILED])),
            finished=moments[number],
            has_scenes=draw(st.booleans()),
        )
        for number in range(count)
    ]


def meant(history: list[Ended], selection: Selection) -> str | None:
    """The run that a selection means, by a look at all of them."""
    fit = [each for each in history if each.status is RunState.SUCCESS and each.has_scenes]
    if selection.mode is SelectionMode.PROFILE:
        fit = [each for each in fit if each.profile == selection.profile]
    if selection.mode is SelectionMode.PINNED:
        fit = [each for each in fit if each.run_id == selection.run_id]
    by_quality = selection.mode is SelectionMode.BEST_QUALITY
    return (
        max(
            fit,
            key=lambda each: (QUALITY[each.profile] if by_quality else 0, each.finished),
            default=Ended("", "", RunState.FAILED, 0, False),
        ).run_id
        or None
    )


selections = st.one_of(
    st.sampled_from([SelectionMode.DEFAULT, SelectionMode.LATEST, SelectionMode.BEST_QUALITY]).map(
        lambda mode: Selection(mode=mode)
    ),
    st.sampled_from(PROFILES).map(lambda name: Selection.of(profile=name)),
    st.integers(0, 5).map(lambda number: Selection.of(run_id=f"r{number}")),
)


def store(connection: psycopg.Connection, history: list[Ended]) -> None:
    for run in history:
        things = {"scene": [(1, 2, scene())]} if run.has_scenes else {}
        take_in(
            connection,
            things | {"transcript.segment": [(1, 2, said(run.run_id))]},
            run=run.run_id,
            profile=run.profile,
            status=run.status,
            finished=run.finished,
        )


def served_by(serving: Serving, selection: Selection) -> str | None:
    """The run that a jump is answered from; every other question must agree."""
    try:
        answer = serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0, selection=selection)
        run: str | None = answer.runs["scene"]
    except NotFound:
        run = None
    page = serving.artifacts(FILM, artifact_types=["scene"], selection=selection)
    assert page.runs.get("scene") == run
    assert [each.model_dump()["run_id"] for each in page.artifacts] == ([run] if run else [])
    return run


@given(history=histories(), selection=selections)
@ON_THE_DATABASE
def test_a_selection_serves_the_run_that_it_means_and_only_completed_ones(
    connection: psycopg.Connection, serving: Serving, history: list[Ended], selection: Selection
) -> None:
    with connection.transaction(force_rollback=True):
        store(connection, history)
        assert served_by(serving, selection) == meant(history, selection)


@given(history=histories(), chosen=selections, later=histories(), override=selections)
@ON_THE_DATABASE
def test_a_stored_choice_holds_for_runs_that_come_later(
    connection: psycopg.Connection,
    serving: Serving,
    history: list[Ended],
    chosen: Selection,
    later: list[Ended],
    override: Selection,
) -> None:
    after = [
        Ended(f"later-{e.run_id}", e.profile, e.status, e.finished + 100, e.has_scenes)
        for e in later
    ]
    with connection.transaction(force_rollback=True):
        store(connection, history)
        stored = Selections(connection)
        if meant(history, chosen) is None:
            if chosen.mode is not SelectionMode.DEFAULT:
                with pytest.raises(NotFound):
                    stored.select(FILM, "scene", chosen)
            chosen = Selection()
        else:
            stored.select(FILM, "scene", chosen)
        store(connection, after)
        everything = history + after
        assert served_by(serving, Selection()) == meant(everything, chosen)
        if override.mode is not SelectionMode.DEFAULT:
            assert served_by(serving, override) == meant(everything, override)
        snapshot = stored.snapshot(FILM)
        assert snapshot.runs.get("scene") == meant(everything, chosen)
        if "scene" in snapshot.served:
            assert snapshot.served["scene"].selection == chosen


@given(history=histories())
@ON_THE_DATABASE
def test_every_profile_is_kept_beside_the_others(
    connection: psycopg.Connection, serving: Serving, history: list[Ended]
) -> None:
    with connection.transaction(force_rollback=True):
        store(connection, history)
        entries = Selections(connection).profiles(FILM, "scene").profiles
        fit = [each for each in history if each.status is RunState.SUCCESS and each.has_scenes]
        profiles = sorted({e.profile for e in fit}, key=lambda name: -QUALITY[name])
        assert [each.model_profile for each in entries] == profiles
        for entry in entries:
            chosen = Selection.of(profile=entry.model_profile)
            assert entry.latest_run_id == served_by(serving, chosen)
            assert entry.runs == sum(e.profile == entry.model_profile for e in fit)
        assert [e.model_profile for e in entries if e.is_served] == [
            e.profile for e in fit if e.run_id == served_by(serving, Selection())
        ]


@given(history=histories(), later=histories())
@ON_THE_DATABASE
def test_a_pinned_snapshot_answers_the_same_whatever_comes_later(
    connection: psycopg.Connection, serving: Serving, history: list[Ended], later: list[Ended]
) -> None:
    with connection.transaction(force_rollback=True):
        store(connection, history)
        stored = Selections(connection)
        before = stored.snapshot(FILM).runs
        if not before:
            with pytest.raises(NotFound, match="nothing of film is served"):
                stored.pin(FILM)
            return
        stored.pin(FILM)
        first = serving.artifacts(FILM, artifact_types=sorted(before))
        store(
            connection,
            [
                Ended(f"later-{e.run_id}", e.profile, e.status, e.finished + 100, e.has_scenes)
                for e in later
            ],
        )
        assert {k: v for k, v in stored.snapshot(FILM).runs.items() if k in before} == before
        assert serving.artifacts(FILM, artifact_types=sorted(before)) == first


def test_an_artifact_can_be_pinned_alone(connection: psycopg.Connection, serving: Serving) -> None:
    take_in(connection, {"scene": [(n, n + 1, scene(n)) for n in range(3)]})
    stored = Selections(connection)
    stored.select(FILM, "scene", Selection.of(run_id="r1", ordinal=1))
    assert [a.span_start_ms for a in serving.artifacts(FILM).artifacts] == [1]
    assert serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0).artifact.span_start_ms == 1
    with pytest.raises(NotFound, match="no scene starts after 1 ms"):
        serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 1)
    with pytest.raises(NotFound, match="ordinal 9"):
        stored.select(FILM, "scene", Selection.of(run_id="r1", ordinal=9))


def test_pinning_everything_leaves_an_artifact_that_is_pinned_alone(
    connection: psycopg.Connection, serving: Serving
) -> None:
    take_in(connection, {"scene": [(n, n + 1, scene(n)) for n in range(3)], "ocr.text": []})
    stored = Selections(connection)
    stored.select(FILM, "scene", Selection.of(run_id="r1", ordinal=1))
    for runs in (None, stored.snapshot(FILM).runs):
        stored.pin(FILM, runs)
        assert [a.span_start_ms for a in serving.artifacts(FILM).artifacts] == [1]


def test_a_pinned_artifact_that_a_later_revision_lacks_is_told_as_unserved(
    connection: psycopg.Connection, serving: Serving
) -> None:
    take_in(connection, {"scene": [(n, n + 1, scene(n)) for n in range(3)]})
    stored = Selections(connection)
    chosen = Selection.of(run_id="r1", ordinal=2)
    stored.select(FILM, "scene", chosen)
    take_in(connection, {"scene": [(0, 1, scene())]}, revision=2)
    assert stored.snapshot(FILM).unserved == {"scene": chosen}
    assert served_by(serving, Selection()) is None


def test_a_choice_that_nothing_fulfils_any_more_can_still_be_let_go(
    connection: psycopg.Connection, serving: Serving
) -> None:
    take_in(connection, {"scene": [(0, 1, scene())]})
    stored = Selections(connection)
    stored.select(FILM, "scene", Selection.of(run_id="r1"))
    take_in(connection, {}, revision=2, status=RunState.FAILED)
    assert stored.snapshot(FILM).unserved
    stored.select(FILM, "scene", Selection())
    assert stored.snapshot(FILM).unserved == {}
    for mode in (SelectionMode.LATEST, SelectionMode.BEST_QUALITY):
        with pytest.raises(NotFound):
            stored.select(FILM, "scene", Selection(mode=mode))


def test_what_a_snapshot_tells_of_each_run_is_what_is_pinned(
    connection: psycopg.Connection, serving: Serving
) -> None:
    things = {"scene": [(n, n + 1, scene(n)) for n in range(3)]}
    take_in(connection, things, installation="b")
    stored = Selections(connection)
    stored.select(FILM, "scene", Selection.of(run_id="r1", ordinal=1))
    cited = {name: each.model_dump() for name, each in stored.snapshot(FILM).served.items()}
    stored.select(FILM, "scene", Selection())
    take_in(connection, {"scene": [(9, 10, scene())]}, installation="a", finished=5)
    stored.pin(FILM, {"scene": "r1"}, cited)
    assert [a.span_start_ms for a in serving.artifacts(FILM).artifacts] == [1]
    assert stored.snapshot(FILM).served["scene"].producer == "b"


def test_of_two_installations_with_one_run_id_the_completed_one_is_served_and_pinned(
    connection: psycopg.Connection, serving: Serving
) -> None:
    ours, theirs = ({"scene": [(start, start + 1, scene())]} for start in (100, 1))
    take_in(connection, ours, installation="a", finished=5)
    take_in(connection, theirs, installation="b", status=RunState.FAILED)
    assert served_by(serving, Selection.of(run_id="r1")) == "r1"
    take_in(connection, theirs, installation="b", revision=2, finished=1)
    stored = Selections(connection)
    before = serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0)
    stored.pin(FILM, before.runs)
    assert serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0) == before


def test_a_pinned_run_that_fails_when_it_is_run_again_is_not_replaced_by_another(
    connection: psycopg.Connection, serving: Serving
) -> None:
    things = {"scene": [(1, 2, scene())]}
    take_in(connection, things, run="pinned")
    take_in(connection, things, run="other", finished=1)
    stored = Selections(connection)
    stored.select(FILM, "scene", Selection.of(run_id="pinned"))
    take_in(connection, things, run="pinned", revision=2, status=RunState.FAILED)
    assert served_by(serving, Selection()) is None
    assert stored.snapshot(FILM).unserved == {"scene": Selection.of(run_id="pinned")}
    take_in(connection, things, run="pinned", revision=3)
    assert served_by(serving, Selection()) == "pinned"


def test_a_choice_that_would_serve_nothing_is_refused_with_what_there_is(
    connection: psycopg.Connection,
) -> None:
    take_in(connection, {"scene": [(1, 2, scene())]})
    stored = Selections(connection)
    for name, selection, told in (
        ("hologram", Selection.of(run_id="r1"), "has no hologram artifacts"),
        ("scene", Selection.of(run_id="nope"), "no completed run 'nope'"),
        ("scene", Selection.of(profile="fast"), "under profile 'fast'"),
    ):
        with pytest.raises(NotFound, match=told):
            stored.select(FILM, name, selection)
    with pytest.raises(NotFound, match="no asset 'nope'"):
        stored.select(AssetId("nope"), "scene", Selection())
    assert stored.snapshot(FILM).served["scene"].selection == Selection()


def test_pinning_pins_all_types_or_none(connection: psycopg.Connection) -> None:
    take_in(connection, {"scene": [], "ocr.text": []})
    stored = Selections(connection)
    with pytest.raises(NotFound):
        stored.pin(FILM, {"ocr.text": "r1", "scene": "nope"})
    chosen = {each.selection for each in stored.snapshot(FILM).served.values()}
    assert chosen == {Selection()}


@pytest.mark.parametrize(
    ("mode", "given"),
    [
        (SelectionMode.PROFILE, {}),
        (SelectionMode.PINNED, {}),
        (SelectionMode.LATEST, {"profile": "fast"}),
        (SelectionMode.PROFILE, {"profile": "fast", "run_id": "r1"}),
        (None, {"profile": "fast", "run_id": "r1"}),
    ],
)
def test_parts_of_a_selection_that_do_not_go_together_are_refused(
    mode: SelectionMode | None, given: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match="selection '"):
        Selection.of(mode, **given)  # type: ignore[arg-type] # as faces hand them on


def test_search_follows_what_is_served(connection: psycopg.Connection, serving: Serving) -> None:
    def found(query: str) -> list[str]:
        return [str(hit.artifact.model_dump()["run_id"]) for hit in serving.search(query).hits]

    take_in(connection, {"transcript.segment": [(0, 1, said("the old gate"))]}, run="old")
    take_in(
        connection, {"transcript.segment": [(0, 1, said("a new rocket"))]}, run="new", finished=1
    )
    assert (found("gate"), found("rocket")) == ([], ["new"])
    Selections(connection).select(FILM, "transcript.segment", Selection.of(run_id="old"))
    assert (found("gate"), found("rocket")) == (["old"], [])
    Selections(connection).select(FILM, "transcript.segment", Selection())
    assert (found("gate"), found("rocket")) == ([], ["new"])


def test_a_search_finds_the_one_artifact_that_is_pinned(
    connection: psycopg.Connection, serving: Serving
) -> None:
    take_in(connection, {"transcript.segment": [(n, n + 1, said("gate")) for n in range(9)]})
    chosen = Selection.of(run_id="r1", ordinal=7)
    Selections(connection).select(FILM, "transcript.segment", chosen)
    assert [hit.artifact.span_start_ms for hit in serving.search("gate").hits] == [7]
    assert [hit.artifact.span_start_ms for hit in serving.find(FILM, "gate").hits] == [7]


def test_a_list_can_ask_for_the_work_of_one_producer_whichever_run_has_it(
    connection: psycopg.Connection, serving: Serving
) -> None:
    things = {"scene": [(0, 1, scene())]}
    take_in(connection, things, run="a", producer="cuts", version="1", config={"x": 1})
    take_in(connection, things, run="b", producer="cuts", version="2", finished=1)
    take_in(connection, things, run="c", producer="net", version="1", finished=2)
    ours = {r.run_id: r.config_hash for r in serving_rows(connection)}
    assert serving.artifacts(FILM).runs == {"scene": "c"}
    assert serving.artifacts(FILM, producer="cuts").runs == {"scene": "b"}
    assert serving.artifacts(FILM, producer="cuts", producer_version="1").runs == {"scene": "a"}
    assert serving.artifacts(FILM, config_hash=ours["a"]).runs == {"scene": "a"}
    assert serving.artifacts(FILM, producer="nobody").artifacts == ()
    answer = serving.artifacts(FILM, producer="cuts", selection=Selection.of(run_id="a"))
    assert (answer.runs, answer.data_source) == ({"scene": "a"}, DataSource.ARTIFACT)


@dataclass(frozen=True)
class Hashed:
    run_id: str
    config_hash: str


def serving_rows(connection: psycopg.Connection) -> list[Hashed]:
    return [Hashed(*row) for row in connection.execute("select run_id, config_hash from runs")]
