"""One item: its value, or its error as a value, so that it crosses between processes."""

from collections.abc import Callable
from typing import Any

from filmgate.core.errors import ContractBroken
from filmgate.core.ports import Item, Mapped, Value
from filmgate.core.records import StageError
from filmgate.engine.failures import stage_error

TRIES = 3
"""How often an item is begun before the death of its workers is held to be its own fault."""


def attempt_item(
    work: Callable[[Item], Value], item: Item
) -> tuple[Value | None, StageError | None]:
    """Work on one item; whatever it raises becomes its error."""
    try:
        return work(item), None
    except Exception as error:  # noqa: BLE001 - whatever an item raises is its failure
        return None, stage_error(error)


def cannot_travel(error: Exception) -> StageError:
    """An item or a value that does not go from one process to another."""
    last_line = (str(error).strip() or type(error).__name__).splitlines()[-1]
    told = f"the item or its value cannot travel between processes: {last_line}"
    return StageError(code="unexpected", message=told)


def check_can_travel(work: Callable[..., Any]) -> None:
    """Raise ContractBroken for work that only this process knows, whatever the executor: what
    runs here is to run elsewhere too."""
    import pickle  # only where something is fanned out

    try:
        pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ContractBroken(
            "the work cannot be done in another process",
            expected="a function of a module, or a functools.partial of one",
            got=str(error),
        ) from error


def worker_died(item: Item, how: str) -> Mapped[Item, Value]:
    """An item that no worker survived."""
    message = f"the worker died {TRIES} times while it was at this item: {how}"
    return Mapped(item=item, error=StageError(code="worker_died", message=message))
