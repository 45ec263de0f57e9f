"""The descriptor of the gameplay pipeline: its plan and input, a task list."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from filmgate.core.command import CommandLine
from filmgate.core.errors import Invalid, NotFound
from filmgate.core.pipeline import Input, InputFiles, InputKind, NextSteps, Pipeline
from filmgate.pipelines.gameplay.files import QUALITY
from filmgate.pipelines.gameplay.options import GameplayOptions, default_task_list
from filmgate.pipelines.gameplay.plan import PLAN
from filmgate.pipelines.gameplay.report.action import REPORT
from filmgate.pipelines.gameplay.rules.tasks import MAX_LIST_BYTES, parse_tasks
from filmgate.pipelines.gameplay.sample import SAMPLE


def open_input(task_list: Path) -> InputFiles:
    """Open a file that lists keys of archives, one per line.

    Raises NotFound if the file does not exist, Invalid if it is too large, not text or empty.
    """
    if not task_list.is_file():
        raise NotFound(
            f"the task list {str(task_list)!r} is missing",
            expected="a file with one key per line, such as sessions/0123456789abcdef.tar",
            got="a folder" if task_list.is_dir() else "no such file",
            hint="Pass it with --task-list FILE. To check everything that was extracted, use "
            "--stage manifest, which needs no task list",
        )
    if task_list.stat().st_size > MAX_LIST_BYTES:
        raise Invalid("the task list is too large", expected=f"at most {MAX_LIST_BYTES:,} bytes")
    return InputFiles(
        files={task_list.name: task_list}, media={"tasks": len(parse_tasks(task_list.read_bytes()))}
    )


def next_steps(run: NextSteps) -> Iterator[str]:
    """Yield the command that reports on the run's quality manifest, if it has one."""
    table = run.manifest.first_file_with_schema(QUALITY.schema)
    if table is not None:
        bucket = run.manifest.config.get("manifest", {}).get("manifest_bucket", "")
        place = shlex.quote(str(run.folder / table.path))
        yield f"filmgate {REPORT.name} {place} --manifest-bucket {shlex.quote(str(bucket))}"


GAMEPLAY = Pipeline(
    plan=PLAN,
    inputs=Input(
        kind=InputKind.LIST,
        what="--task-list FILE: keys of archives, one per line",
        line=CommandLine(
            names=("--task-list",),
            metavar="FILE",
            help="File of archive keys, one per line. Default: task_list.txt. If that does not "
            "exist, --stage manifest uses all extracted sessions.",
        ),
        default=default_task_list,
    ),
    options=GameplayOptions,
    admit=open_input,
    items_apart=True,
    actions=(REPORT,),
    sample=SAMPLE,
    next_steps=next_steps,
)
