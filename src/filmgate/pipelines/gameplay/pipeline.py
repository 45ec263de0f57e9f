"""The descriptor of the gameplay pipeline: its plan and input, a task list."""

from pathlib import Path

from filmgate.core.errors import Invalid, NotFound
from filmgate.core.pipeline import InputFiles, InputKind, Pipeline
from filmgate.pipelines.gameplay.plan import PLAN
from filmgate.pipelines.gameplay.rules.tasks import MAX_LIST_BYTES, parse_tasks


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


GAMEPLAY = Pipeline(plan=PLAN, inputs=InputKind.LIST, admit=open_input, items_apart=True)
