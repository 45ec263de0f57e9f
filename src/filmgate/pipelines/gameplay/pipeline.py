"""The gameplay pipeline as a whole: its plan, and the task list it takes."""

from pathlib import Path

from filmgate.core.errors import Invalid, NotFound
from filmgate.core.pipeline import Admitted, Pipeline
from filmgate.pipelines.gameplay.plan import PLAN
from filmgate.pipelines.gameplay.rules.tasks import MAX_LIST_BYTES, tasks


def admit(task_list: Path) -> Admitted:
    """A file that lists keys of archives, one a line.

    Raises NotFound where there is none, Invalid where it is no text or names nothing.
    """
    if not task_list.is_file():
        raise NotFound(
            f"there is no task list {str(task_list)!r}",
            expected="a file with one key a line, such as sessions/0123456789abcdef.tar",
            got="a folder" if task_list.is_dir() else "nothing",
            hint="Name it: --task-list FILE. To judge all that was extracted, --stage manifest "
            "needs none",
        )
    if task_list.stat().st_size > MAX_LIST_BYTES:
        raise Invalid("the task list is too large", expected=f"at most {MAX_LIST_BYTES:,} bytes")
    return Admitted(
        files={task_list.name: task_list}, media={"tasks": len(tasks(task_list.read_bytes()))}
    )


GAMEPLAY = Pipeline(plan=PLAN, admit=admit, items_apart=True)
