"""What a plan may not declare, found before anything runs."""

from collections.abc import Callable
from importlib import metadata

import pytest

from filmgate.core.errors import FilmgateError, Invalid, Unavailable
from filmgate.core.files import binary
from filmgate.core.pipeline import Pipeline
from filmgate.core.plan import Done, Outcome, Plan, Settings, Stage, stage
from filmgate.core.ports import StageContext
from filmgate.core.run_request import RunRequest
from filmgate.pipelines import built_in
from filmgate.wiring import pipelines
from support.runs import PLAN, PRODUCER


def named(name: str, *paths: str, requires: tuple[str, ...] = ()) -> Stage:
    def work(bench: StageContext, settings: Settings) -> Outcome:
        return Done(producer=PRODUCER)

    work.__name__ = name
    made = [binary(path, schema="test") for path in paths]
    return stage(makes=made, requires=requires, aliases=[f"old {name}"])(work)


@pytest.mark.parametrize(
    "path",
    [
        *("run.json", "manifest.json", "status.json", "verdicts.json", "lease.json", "lease.lock"),
        *("commits", "commits/x.json", "attempts/x", "logs/x.ndjson"),
        *("", "/etc/passwd", "../x", "a/../b", "./a", ".hidden", "a//b", "a/", "x" * 61, "a\0b"),
    ],
)
def test_a_path_that_no_file_of_a_run_may_have_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"path .* of stage 'one' is "):
        Plan(pipeline="p", stages=(named("one", path),))


@pytest.mark.parametrize("other", ["a.json", "A.json", "a.npy", "a.json/b"])
def test_two_files_in_one_place_are_refused(other: str) -> None:
    with pytest.raises(ValueError, match="is already "):
        Plan(pipeline="p", stages=(named("one", "a.json"), named("two", other)))
    with pytest.raises(ValueError, match="is already "):
        Plan(pipeline="p", stages=(named("one", "a.json", other),))


def test_two_files_of_one_stem_are_told_apart_by_a_key() -> None:
    files = [binary("a.json", schema="s"), binary("a.npy", schema="s", key="a.npy")]
    work = named("one").work
    Plan(pipeline="p", stages=(stage(makes=files)(work),))


@pytest.mark.parametrize(
    "name", ["", "..", "a.b", "a/b", "a b", "a,b", "<lambda>", "é", "1", "a\n"]
)
def test_a_name_that_no_stage_may_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"stage name .* is invalid"):
        Plan(pipeline="p", stages=(named(name),))


def test_a_stage_stands_on_others_by_their_names_of_today() -> None:
    with pytest.raises(ValueError, match="old one"):
        Plan(pipeline="p", stages=(named("one"), named("two", requires=("old one",))))


def test_a_plan_without_stages_and_a_profile_of_a_stage_that_is_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="no stage"):
        Plan(pipeline="p", stages=())
    with pytest.raises(ValueError, match="nonsense"):
        Pipeline(plan=PLAN, profiles={"balanced": {"nonsense": {}}})


@pytest.mark.parametrize(
    ("typed", "value"),
    [("limit=3", 3), ("limit= 3 ", 3), ("enabled=false", False), ("enabled=no", False)],
)
def test_a_setting_is_read_by_its_own_type(typed: str, value: object) -> None:
    settings = RunRequest.model_validate({"settings": [f"read.{typed}"]}).settings
    config = Pipeline(plan=PLAN).resolve("balanced", settings)
    assert config["read"][typed.partition("=")[0]] == value


def leaves() -> object:
    raise SystemExit(0)


def breaks() -> object:
    raise RuntimeError("broken on import")


@pytest.mark.parametrize(
    ("load", "error"),
    [
        (leaves, Unavailable),
        (breaks, Unavailable),
        (lambda: 42, Invalid),
        (lambda: Plan(pipeline="other", stages=(named("one"),)), Invalid),
    ],
)
def test_an_entry_point_that_offers_no_pipeline_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, load: Callable[[], object], error: type[FilmgateError]
) -> None:
    class Offered:
        name = "theirs"
        value = "package:PLAN"

        def load(self) -> object:
            return load()

    monkeypatch.setattr(metadata, "entry_points", lambda group: [Offered()])
    assert pipelines.names() == sorted([*built_in.PIPELINES, "theirs"])
    with pytest.raises(error, match="theirs"):
        pipelines.load("theirs")
