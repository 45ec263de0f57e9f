"""Work on one item; the result is a value, or an error that can be sent between processes."""

from collections.abc import Callable

from filmgate.core.errors import ContractBroken
from filmgate.core.ports import Item, Mapped, Value
from filmgate.core.records import FailureCode, StageError
from filmgate.engine.failures import make_stage_error

MAX_TRIES = 3
"""Number of times that work on an item is started, if its worker dies, before the item fails."""

ITEMS_PER_WORKER = 2
"""Number of items that are started per worker before the first outcome is consumed."""


def run_item(work: Callable[[Item], Value], item: Item) -> tuple[Value | None, StageError | None]:
    """Work on one item; an exception becomes its error."""
    try:
        return work(item), None
    except Exception as error:  # noqa: BLE001 - any exception of an item is its failure
        return None, make_stage_error(error)


def make_pickling_error(error: Exception) -> StageError:
    """Make the error of an item if it, or its value, cannot be sent between processes."""
    last_line = (str(error).strip() or type(error).__name__).splitlines()[-1]
    message = f"the item or its value cannot be pickled: {last_line}"
    return StageError(code=FailureCode.UNEXPECTED, message=message)


def check_picklable(work: object) -> None:
    """Raise ContractBroken if the work cannot be sent to another process.

    Every executor checks this, so that work that runs in one of them runs in all.
    """
    import pickle  # only needed when items are fanned out

    try:
        pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ContractBroken(
            "the work function cannot be pickled",
            expected="a module-level function, or a functools.partial of one",
            got=str(error),
        ) from error


def make_dead_worker_outcome(item: Item, cause: str) -> Mapped[Item, Value]:
    """Make the outcome of an item whose worker died in each of `MAX_TRIES` attempts."""
    message = f"the worker died {MAX_TRIES} times while it worked on this item: {cause}"
    return Mapped(item=item, error=StageError(code=FailureCode.WORKER_DIED, message=message))
