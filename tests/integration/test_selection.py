"""The selected run is served, and never an unfinished one."""

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
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.selections import Selections
from support.archive import ingest_artifacts, scene_payload, transcript_payload
from support.database import FILM, ON_THE_DATABASE

PROFILES = ("fast", "balanced", "high_quality", "strange")
QUALITY = {"high_quality": 3, "balanced": 2, "fast": 1, "strange": 0}


@dataclass(frozen=True)
class EndedRun:
    """A run to ingest."""

    run_id: str
    profile: str
    status: RunState
    finished: int
    has_scenes: bool


@st.composite
def histories(draw: st.DrawFn) -> list[EndedRun]:
    """Some runs that ended at different moments."""
    count = draw(st.integers(1, 5))
    moments = draw(st.permutations(range(count)))
    return [
        EndedRun(
            run_id=f"r{number}",
            profile=draw(st.sampled_from(PROFILES)),
            status=draw(st.sampled_from([RunState.SUCCESS, RunState.SUCCESS, RunState.FAILED])),
            finished=moments[number],
            has_scenes=draw(st.booleans()),
        )
        for number in range(count)
    ]


def selected_run(history: list[EndedRun], selection: Selection) -> str | None:
    """The run that a selection chooses, found by a scan of all runs."""
    matching = [run for run in history if run.status is RunState.SUCCESS and run.has_scenes]
    if selection.mode is SelectionMode.PROFILE:
        matching = [run for run in matching if run.profile == selection.profile]
    if selection.mode is SelectionMode.PINNED:
        matching = [run for run in matching if run.run_id == selection.run_id]
    by_quality = selection.mode is SelectionMode.BEST_QUALITY
    return (
        max(
            matching,
            key=lambda run: (QUALITY[run.profile] if by_quality else 0, run.finished),
            default=EndedRun("", "", RunState.FAILED, 0, False),
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


def store(connection: psycopg.Connection, history: list[EndedRun]) -> None:
    for run in history:
        scenes = {"scene": [(1, 2, scene_payload())]} if run.has_scenes else {}
        ingest_artifacts(
            connection,
            scenes | {"transcript.segment": [(1, 2, transcript_payload(run.run_id))]},
            run=run.run_id,
            profile=run.profile,
            status=run.status,
            finished=run.finished,
        )


def served_by(serving: ArtifactQueries, selection: Selection) -> str | None:
    """The run that a jump is answered from; checks that a list is answered from the same run."""
    try:
        answer = serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0, selection=selection)
        run: str | None = answer.runs["scene"]
    except NotFound:
        run = None
    page = serving.artifacts(FILM, artifact_types=["scene"], selection=selection)
    assert page.runs.get("scene") == run
    run_ids = [artifact.model_dump()["run_id"] for artifact in page.artifacts]
    assert run_ids == ([run] if run else [])
    return run


@given(history=histories(), selection=selections)
@ON_THE_DATABASE
def test_a_selection_serves_the_matching_completed_run(
    connection: psycopg.Connection,
    serving: ArtifactQueries,
    history: list[EndedRun],
    selection: Selection,
) -> None:
    with connection.transaction(force_rollback=True):
        store(connection, history)
        assert served_by(serving, selection) == selected_run(history, selection)


@given(history=histories(), selection=selections, later=histories(), override=selections)
@ON_THE_DATABASE
def test_a_stored_selection_applies_to_later_runs(
    connection: psycopg.Connection,
    serving: ArtifactQueries,
    history: list[EndedRun],
    selection: Selection,
    later: list[EndedRun],
    override: Selection,
) -> None:
    after = [
        EndedRun(f"later-{e.run_id}", e.profile, e.status, e.finished + 100, e.has_scenes)
        for e in later
    ]
    with connection.transaction(force_rollback=True):
        store(connection, history)
        stored = Selections(connection)
        if selected_run(history, selection) is None:
            if selection.mode is not SelectionMode.DEFAULT:
                with pytest.raises(NotFound):
                    stored.select(FILM, "scene", selection)
            selection = Selection()
        else:
            stored.select(FILM, "scene", selection)
        store(connection, after)
        everything = history + after
        assert served_by(serving, Selection()) == selected_run(everything, selection)
        if override.mode is not SelectionMode.DEFAULT:
            assert served_by(serving, override) == selected_run(everything, override)
        snapshot = stored.snapshot(FILM)
        assert snapshot.runs.get("scene") == selected_run(everything, selection)
        if "scene" in snapshot.served:
            assert snapshot.served["scene"].selection == selection


@given(history=histories())
@ON_THE_DATABASE
def test_runs_of_all_profiles_are_listed(
    connection: psycopg.Connection, serving: ArtifactQueries, history: list[EndedRun]
) -> None:
    with connection.transaction(force_rollback=True):
        store(connection, history)
        entries = Selections(connection).profiles(FILM, "scene").profiles
        completed = [run for run in history if run.status is RunState.SUCCESS and run.has_scenes]
        profiles = sorted({run.profile for run in completed}, key=lambda name: -QUALITY[name])
        assert [entry.model_profile for entry in entries] == profiles
        for entry in entries:
            selection = Selection.of(profile=entry.model_profile)
            assert entry.latest_run_id == served_by(serving, selection)
            assert entry.runs == sum(run.profile == entry.model_profile for run in completed)
        assert [entry.model_profile for entry in entries if entry.is_served] == [
            run.profile for run in completed if run.run_id == served_by(serving, Selection())
        ]


@given(history=histories(), later=histories())
@ON_THE_DATABASE
def test_a_pinned_snapshot_gives_the_same_answers_after_later_runs(
    connection: psycopg.Connection,
    serving: ArtifactQueries,
    history: list[EndedRun],
    later: list[EndedRun],
) -> None:
    with connection.transaction(force_rollback=True):
        store(connection, history)
        stored = Selections(connection)
        before = stored.snapshot(FILM).runs
        if not before:
            with pytest.raises(NotFound, match="film is not served from any run"):
                stored.pin(FILM)
            return
        stored.pin(FILM)
        first = serving.artifacts(FILM, artifact_types=sorted(before))
        store(
            connection,
            [
                EndedRun(f"later-{e.run_id}", e.profile, e.status, e.finished + 100, e.has_scenes)
                for e in later
            ],
        )
        assert {k: v for k, v in stored.snapshot(FILM).runs.items() if k in before} == before
        assert serving.artifacts(FILM, artifact_types=sorted(before)) == first


def test_a_single_artifact_can_be_pinned(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ingest_artifacts(connection, {"scene": [(n, n + 1, scene_payload(n)) for n in range(3)]})
    stored = Selections(connection)
    stored.select(FILM, "scene", Selection.of(run_id="r1", ordinal=1))
    assert [a.span_start_ms for a in serving.artifacts(FILM).artifacts] == [1]
    assert serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0).artifact.span_start_ms == 1
    with pytest.raises(NotFound, match="no scene starts after 1 ms"):
        serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 1)
    with pytest.raises(NotFound, match="ordinal 9"):
        stored.select(FILM, "scene", Selection.of(run_id="r1", ordinal=9))


def test_pinning_all_types_keeps_a_single_pinned_artifact(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ingest_artifacts(
        connection, {"scene": [(n, n + 1, scene_payload(n)) for n in range(3)], "ocr.text": []}
    )
    stored = Selections(connection)
    stored.select(FILM, "scene", Selection.of(run_id="r1", ordinal=1))
    for runs in (None, stored.snapshot(FILM).runs):
        stored.pin(FILM, runs)
        assert [a.span_start_ms for a in serving.artifacts(FILM).artifacts] == [1]


def test_a_pinned_artifact_missing_from_a_later_revision_is_listed_as_unserved(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ingest_artifacts(connection, {"scene": [(n, n + 1, scene_payload(n)) for n in range(3)]})
    stored = Selections(connection)
    selection = Selection.of(run_id="r1", ordinal=2)
    stored.select(FILM, "scene", selection)
    ingest_artifacts(connection, {"scene": [(0, 1, scene_payload())]}, revision=2)
    assert stored.snapshot(FILM).unserved == {"scene": selection}
    assert served_by(serving, Selection()) is None


def test_a_selection_that_no_run_matches_any_longer_can_be_reset(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ingest_artifacts(connection, {"scene": [(0, 1, scene_payload())]})
    stored = Selections(connection)
    stored.select(FILM, "scene", Selection.of(run_id="r1"))
    ingest_artifacts(connection, {}, revision=2, status=RunState.FAILED)
    assert stored.snapshot(FILM).unserved
    stored.select(FILM, "scene", Selection())
    assert stored.snapshot(FILM).unserved == {}
    for mode in (SelectionMode.LATEST, SelectionMode.BEST_QUALITY):
        with pytest.raises(NotFound):
            stored.select(FILM, "scene", Selection(mode=mode))


def test_a_snapshot_pins_the_installation_and_artifact_that_it_names(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    things = {"scene": [(n, n + 1, scene_payload(n)) for n in range(3)]}
    ingest_artifacts(connection, things, installation="b")
    stored = Selections(connection)
    stored.select(FILM, "scene", Selection.of(run_id="r1", ordinal=1))
    cited = {name: served.model_dump() for name, served in stored.snapshot(FILM).served.items()}
    stored.select(FILM, "scene", Selection())
    ingest_artifacts(
        connection, {"scene": [(9, 10, scene_payload())]}, installation="a", finished=5
    )
    stored.pin(FILM, {"scene": "r1"}, cited)
    assert [a.span_start_ms for a in serving.artifacts(FILM).artifacts] == [1]
    assert stored.snapshot(FILM).served["scene"].producer == "b"


def test_of_two_installations_with_one_run_id_the_completed_one_is_served_and_pinned(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ours, theirs = ({"scene": [(start, start + 1, scene_payload())]} for start in (100, 1))
    ingest_artifacts(connection, ours, installation="a", finished=5)
    ingest_artifacts(connection, theirs, installation="b", status=RunState.FAILED)
    assert served_by(serving, Selection.of(run_id="r1")) == "r1"
    ingest_artifacts(connection, theirs, installation="b", revision=2, finished=1)
    stored = Selections(connection)
    before = serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0)
    stored.pin(FILM, before.runs)
    assert serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0) == before


def test_a_pinned_run_whose_next_revision_fails_is_not_replaced_by_another_run(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    things = {"scene": [(1, 2, scene_payload())]}
    ingest_artifacts(connection, things, run="pinned")
    ingest_artifacts(connection, things, run="other", finished=1)
    stored = Selections(connection)
    stored.select(FILM, "scene", Selection.of(run_id="pinned"))
    ingest_artifacts(connection, things, run="pinned", revision=2, status=RunState.FAILED)
    assert served_by(serving, Selection()) is None
    assert stored.snapshot(FILM).unserved == {"scene": Selection.of(run_id="pinned")}
    ingest_artifacts(connection, things, run="pinned", revision=3)
    assert served_by(serving, Selection()) == "pinned"


def test_a_selection_that_no_run_matches_is_refused(
    connection: psycopg.Connection,
) -> None:
    ingest_artifacts(connection, {"scene": [(1, 2, scene_payload())]})
    stored = Selections(connection)
    for name, selection, message in (
        ("hologram", Selection.of(run_id="r1"), "has no hologram artifacts"),
        ("scene", Selection.of(run_id="nope"), "no completed run 'nope'"),
        ("scene", Selection.of(profile="fast"), "under profile 'fast'"),
    ):
        with pytest.raises(NotFound, match=message):
            stored.select(FILM, name, selection)
    with pytest.raises(NotFound, match="asset 'nope' is not in the database"):
        stored.select(AssetId("nope"), "scene", Selection())
    assert stored.snapshot(FILM).served["scene"].selection == Selection()


def test_pinning_pins_all_types_or_none(connection: psycopg.Connection) -> None:
    ingest_artifacts(connection, {"scene": [], "ocr.text": []})
    stored = Selections(connection)
    with pytest.raises(NotFound):
        stored.pin(FILM, {"ocr.text": "r1", "scene": "nope"})
    selections = {served.selection for served in stored.snapshot(FILM).served.values()}
    assert selections == {Selection()}


@pytest.mark.parametrize(
    ("mode", "parts"),
    [
        (SelectionMode.PROFILE, {}),
        (SelectionMode.PINNED, {}),
        (SelectionMode.LATEST, {"profile": "fast"}),
        (SelectionMode.PROFILE, {"profile": "fast", "run_id": "r1"}),
        (None, {"profile": "fast", "run_id": "r1"}),
    ],
)
def test_contradictory_parts_of_a_selection_are_refused(
    mode: SelectionMode | None, parts: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match="selection '"):
        Selection.of(mode, **parts)  # type: ignore[arg-type] # as the CLI and the API pass them


def test_search_uses_the_served_run(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    def found(query: str) -> list[str]:
        return [str(hit.artifact.model_dump()["run_id"]) for hit in serving.search(query).hits]

    ingest_artifacts(
        connection, {"transcript.segment": [(0, 1, transcript_payload("the old gate"))]}, run="old"
    )
    ingest_artifacts(
        connection,
        {"transcript.segment": [(0, 1, transcript_payload("a new rocket"))]},
        run="new",
        finished=1,
    )
    assert (found("gate"), found("rocket")) == ([], ["new"])
    Selections(connection).select(FILM, "transcript.segment", Selection.of(run_id="old"))
    assert (found("gate"), found("rocket")) == (["old"], [])
    Selections(connection).select(FILM, "transcript.segment", Selection())
    assert (found("gate"), found("rocket")) == ([], ["new"])


def test_a_search_finds_only_the_pinned_artifact(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ingest_artifacts(
        connection,
        {"transcript.segment": [(n, n + 1, transcript_payload("gate")) for n in range(9)]},
    )
    selection = Selection.of(run_id="r1", ordinal=7)
    Selections(connection).select(FILM, "transcript.segment", selection)
    assert [hit.artifact.span_start_ms for hit in serving.search("gate").hits] == [7]
    assert [hit.artifact.span_start_ms for hit in serving.find(FILM, "gate").hits] == [7]


def test_a_list_can_be_filtered_by_producer_across_runs(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    things = {"scene": [(0, 1, scene_payload())]}
    ingest_artifacts(connection, things, run="a", producer="cuts", version="1", config={"x": 1})
    ingest_artifacts(connection, things, run="b", producer="cuts", version="2", finished=1)
    ingest_artifacts(connection, things, run="c", producer="net", version="1", finished=2)
    hashes = config_hashes(connection)
    assert serving.artifacts(FILM).runs == {"scene": "c"}
    assert serving.artifacts(FILM, producer="cuts").runs == {"scene": "b"}
    assert serving.artifacts(FILM, producer="cuts", producer_version="1").runs == {"scene": "a"}
    assert serving.artifacts(FILM, config_hash=hashes["a"]).runs == {"scene": "a"}
    assert serving.artifacts(FILM, producer="nobody").artifacts == ()
    answer = serving.artifacts(FILM, producer="cuts", selection=Selection.of(run_id="a"))
    assert (answer.runs, answer.data_source) == ({"scene": "a"}, DataSource.ARTIFACT)


def config_hashes(connection: psycopg.Connection) -> dict[str, str]:
    return dict(connection.execute("select run_id, config_hash from runs").fetchall())
