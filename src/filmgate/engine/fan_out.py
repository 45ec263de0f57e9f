"""Fan-out: do the work of one stage on many items, and collect the errors of failed items."""

from collections.abc import Callable, Iterable, Iterator, Sized

from filmgate.core.errors import Invalid
from filmgate.core.ports import Executor, Item, Mapped, Value
from filmgate.core.records import MAX_ITEM_ERRORS, ItemError, StageError
from filmgate.core.redaction import redact, to_json_value


class FanOut:
    """The items of one stage: how many succeeded and failed so far, and their errors."""

    def __init__(
        self, executor: Executor, on_item_error: Callable[[ItemError], None], *, is_strict: bool
    ) -> None:
        self._executor = executor
        self._on_item_error = on_item_error
        self._is_strict = is_strict
        self.succeeded = 0
        """Number of items that succeeded."""
        self.failed: int | None = None
        """Number of items that failed; None if the stage did not call `map`."""
        self.started = 0
        """Number of items that were given to the executor."""
        self.done = 0
        """Number of items whose outcome was consumed."""
        self.unconsumed = 0
        """Number of items whose outcome was not consumed yet, as far as the total is known."""
        self.errors: list[ItemError] = []
        """Errors of the first failed items, at most `MAX_ITEM_ERRORS`."""
        self._may_all_fail = True

    def map(
        self,
        work: Callable[[Item], Value],
        items: Iterable[Item],
        *,
        total: int | None,
        name: Callable[[Item], str],
        progress: Callable[[int, int | None], None],
        may_all_fail: bool,
    ) -> Iterator[Mapped[Item, Value]]:
        """Yield the outcomes in item order; if strict, raise Invalid when an item has failed."""
        self.failed = self.failed or 0
        self._may_all_fail &= may_all_fail
        if total is None and isinstance(items, Sized):
            total = len(items)
        self.unconsumed += total or 0
        outcomes = self._executor.map(work, self._count_started(items))
        return self._count_outcomes(outcomes, total, name, progress)

    @property
    def has_only_failures(self) -> bool:
        """Whether there were items, and all of them failed."""
        return bool(self.failed) and not self.succeeded

    @property
    def gauges(self) -> dict[str, float]:
        """Current number of items by state. Items in flight are started, but not consumed yet."""
        return {
            "items_done": self.done,
            "items_failed": self.failed or 0,
            "items_in_flight": self.started - self.done,
        }

    def check(self) -> None:
        """Raise Invalid if every item failed and the stage did not allow that."""
        if self.has_only_failures and not self._may_all_fail:
            raise Invalid(
                "every item failed",
                expected="at least one successful item",
                got=f"{self.failed} failed items, the first: {self.errors[0].message}",
                hint="See the stage's log for the error of each item",
            )

    def _count_started(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            self.started += 1
            yield item

    def _count_outcomes(
        self,
        outcomes: Iterator[Mapped[Item, Value]],
        total: int | None,
        name: Callable[[Item], str],
        progress: Callable[[int, int | None], None],
    ) -> Iterator[Mapped[Item, Value]]:
        for number, mapped in enumerate(outcomes, start=1):
            self.done += 1
            progress(number, total)
            self.unconsumed -= number <= (total or 0)
            self.succeeded += mapped.is_good
            if mapped.error is not None:
                self._add_error(name(mapped.item), mapped.error)
            yield mapped

    def _add_error(self, item: str, error: StageError) -> None:
        self.failed = (self.failed or 0) + 1
        item_error = ItemError(
            item=redact(to_json_value(item)) or "?",
            code=error.code,
            message=error.message or error.code,
        )
        if len(self.errors) < MAX_ITEM_ERRORS:
            self.errors.append(item_error)
        self._on_item_error(item_error)
        if self._is_strict:
            raise Invalid(
                f"item {item_error.item} failed",
                got=item_error.message,
                hint="Omit --strict to continue past failed items",
            )
