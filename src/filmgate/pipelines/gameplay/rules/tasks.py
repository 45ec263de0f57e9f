"""Task lists: which archives are to be worked on."""

from filmgate.core.errors import Invalid
from filmgate.core.gameplay import ARCHIVE, PT, Task
from filmgate.core.publishing import is_plain_path

MAX_LIST_BYTES = 256 << 20


def tasks(data: bytes) -> list[Task]:
    """The tasks of a list, each once, in order of their keys.

    One key a line; what follows a `#` at the start of a line or after a space is a comment. Raises
    Invalid for what is no text, or names nothing.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(
            "the task list is no text",
            expected="UTF-8, one key a line",
            got=f"byte {data[error.start]:#04x} at {error.start:,}",
        ) from error
    keys = {key for line in text.splitlines() if (key := _key(line))}
    if not keys:
        raise Invalid(
            "the task list names nothing",
            expected="one key a line, such as sessions/0123456789abcdef.tar",
            got="no line that is not empty or a comment",
        )
    return [Task(key=key) for key in sorted(keys)]


def _key(line: str) -> str:
    """What a line names; nothing where it is empty or a comment."""
    bare = line.strip()
    if bare.startswith("#"):
        return ""
    return bare.partition(" #")[0].partition("\t#")[0].strip()


def check_key(task: Task, *, archives_only: bool = False) -> None:
    """Raise Invalid, with a `reason`, for a key that names no archive below the source (nor a
    `.pt` file, where that will do)."""
    ends = (ARCHIVE,) if archives_only else (ARCHIVE, PT)
    if not is_plain_path(task.key) or not task.key.endswith(ends):
        raise Invalid(
            "this is no key of an archive",
            expected="a/relative/path.tar",
            got=ascii(task.key),
            hint="Mend the task list",
            reason="bad_key",
        )
