"""In this process, one item after the other."""

from collections.abc import Callable, Iterable, Iterator

from filmgate.core.ports import Item, Mapped, Value
from filmgate.engine.executors.item import attempt_item, check_can_travel


class InProcess:
    """The port `Executor`, without any other process."""

    def map(
        self, work: Callable[[Item], Value], items: Iterable[Item]
    ) -> Iterator[Mapped[Item, Value]]:
        """What came of every item; each is worked on when it is asked for."""
        check_can_travel(work)
        for item in items:
            value, error = attempt_item(work, item)
            yield Mapped(item=item, value=value, error=error)

    def close(self) -> None:
        """Nothing is held."""
