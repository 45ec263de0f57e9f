"""Task lists: the archives that a run works on."""

from filmgate.core.errors import Invalid
from filmgate.core.publishing import is_plain_path
from filmgate.pipelines.gameplay.contracts import ARCHIVE_SUFFIX, PT_SUFFIX, ExtractionTask

MAX_LIST_BYTES = 256 << 20


def parse_tasks(data: bytes) -> list[ExtractionTask]:
    """Parse a task list; each task once, ordered by key.

    One key per line; text after a `#` at the start of a line or after a space is a comment.
    Raises Invalid if the list is not text or is empty.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(
            "the task list is not text",
            expected="UTF-8, one key per line",
            got=f"byte {data[error.start]:#04x} at {error.start:,}",
        ) from error
    keys = {key for line in text.splitlines() if (key := _parse_line(line))}
    if not keys:
        raise Invalid(
            "the task list is empty",
            expected="one key per line, such as sessions/0123456789abcdef.tar",
            got="only empty lines and comments",
        )
    return [ExtractionTask(key=key) for key in sorted(keys)]


def _parse_line(line: str) -> str:
    """Parse the key of a line; an empty string if the line is empty or a comment."""
    stripped = line.strip()
    if stripped.startswith("#"):
        return ""
    return stripped.partition(" #")[0].partition("\t#")[0].strip()


def check_key(task: ExtractionTask, *, archives_only: bool = False) -> None:
    """Check that a key names an archive below the source, or a `.pt` file unless `archives_only`.

    Raises Invalid, with a `reason`, if it does not.
    """
    ends = (ARCHIVE_SUFFIX,) if archives_only else (ARCHIVE_SUFFIX, PT_SUFFIX)
    if not is_plain_path(task.key) or not task.key.endswith(ends):
        raise Invalid(
            "the key is not that of an archive",
            expected="a/relative/path.tar",
            got=ascii(task.key),
            hint="Correct the task list",
            reason="bad_key",
        )
