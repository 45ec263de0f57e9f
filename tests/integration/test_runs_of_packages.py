"""Runs of pipelines that are not installed, or that lack what a service reads."""

from pathlib import Path

import pytest

from filmgate.core.errors import Invalid, NotFound
from filmgate.core.people import FaceClusters
from filmgate.core.pipeline import Pipeline
from filmgate.core.summaries import FinishedRun
from filmgate.services.people import PeopleService
from filmgate.services.reports import find_report
from filmgate.store.run_directory import FolderRun
from filmgate.wiring import pipelines
from filmgate.wiring.settings import Settings
from support.runs import LETTERS, PLAN, Letters, finished_run


def read_clusters(run: FinishedRun) -> FaceClusters:
    run.read(LETTERS.schema, Letters)
    run.read("test.faces", Letters)
    raise AssertionError("the run has no such file")


@pytest.fixture
def made(tmp_path: Path, source: Path) -> FolderRun:
    """A finished run."""
    return finished_run(tmp_path, source)


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PeopleService:
    """The people of a home whose pipeline clusters faces."""
    pipeline = Pipeline(plan=PLAN, face_clusters=read_clusters)
    monkeypatch.setattr(pipelines, "load", lambda _name: pipeline)
    return PeopleService(Settings(home=tmp_path / "home"))


def test_the_report_of_a_run_whose_pipeline_is_not_installed_does_not_exist(
    made: FolderRun,
) -> None:
    with pytest.raises(NotFound, match="has no report: expected a run of a pipeline that writes"):
        find_report(made)


def test_a_face_of_a_run_without_clusters_cannot_be_named(
    made: FolderRun, people: PeopleService
) -> None:
    with pytest.raises(NotFound, match=r"has no face clusters.* has no file test\.faces"):
        people.name("c1", "Lisa", f"film/{made.head.run_id}")


def test_a_face_of_an_altered_file_cannot_be_named(made: FolderRun, people: PeopleService) -> None:
    (made.folder / LETTERS.path).write_text("{}")
    with pytest.raises(Invalid, match=r"does not match the manifest.* make it again in a new run$"):
        people.name("c1", "Lisa", f"film/{made.head.run_id}")
