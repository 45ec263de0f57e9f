"""The in-process executor: works on one item after another in the calling process."""

from collections.abc import Callable, Iterable, Iterator

from filmgate.core.ports import Item, Mapped, Value
from filmgate.engine.executors.item import check_picklable, run_item


class InProcess:
    """Implementation of the port `Executor` without any other process."""

    def map(
        self, work: Callable[[Item], Value], items: Iterable[Item]
    ) -> Iterator[Mapped[Item, Value]]:
        """Yield the outcome of every item; work starts when the outcome is requested."""
        check_picklable(work)
        for item in items:
            value, error = run_item(work, item)
            yield Mapped(item=item, value=value, error=error)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
