"""The sample of the gameplay pipeline: recorded game sessions, and a report on their quality."""

from collections.abc import Iterator
from pathlib import Path

from filmgate.core.pipeline import Sample, SampleRun, Step
from filmgate.core.progress import ProgressCallback
from filmgate.pipelines.gameplay.options import SOURCE, TARGET, GameplayOptions
from filmgate.tools.sample_sessions import draw_sessions

TABLE = "quality.parquet"


def make_sessions(folder: Path, report_progress: ProgressCallback) -> Path:
    """Return the task list of the sample sessions; create both if they are missing.

    The sessions are in the folder `game-data` beside the task list.
    """
    task_list = folder / "task_list.txt"
    if not task_list.exists():
        sessions = folder / SOURCE
        sessions.mkdir(parents=True, exist_ok=True)
        draw_sessions(sessions, report_progress)
        keys = sorted(path.name for path in sessions.glob("*.tar"))
        task_list.write_text("# the sample sessions\n" + "".join(f"{key}\n" for key in keys))
    return task_list


def _options(task_list: Path) -> GameplayOptions:
    folder = task_list.parent
    return GameplayOptions(
        source_bucket=str(folder / SOURCE),
        manifest_bucket=str(folder / TARGET),
        output_path=str(folder / TABLE),
    )


def _write_report(run: SampleRun) -> Iterator[Step]:
    table, bucket = run.source.parent / TABLE, str(run.source.parent / TARGET)
    yield Step(
        command=f"gameplay report {table}",
        name="gameplay report",
        parameters={"manifest": table, "manifest_bucket": bucket},
    )


SAMPLE = Sample(
    what="recorded game sessions",
    make=make_sessions,
    options=_options,
    steps=_write_report,
    closing=lambda _run: (("your own sessions", "filmgate run gameplay --task-list FILE …"),),
)
