"""Fanning out: one stage's work on many items, with the bad ones kept."""

from collections.abc import Callable, Iterable, Iterator, Sized

from filmgate.core.errors import Invalid
from filmgate.core.ports import Executor, Item, Mapped, Value
from filmgate.core.records import MAX_ITEM_ERRORS, ItemError, StageError
from filmgate.core.redaction import redact, storable


class FanOut:
    """What has come of the items of one stage so far."""

    def __init__(
        self, executor: Executor, told: Callable[[ItemError], None], *, is_strict: bool
    ) -> None:
        self._executor = executor
        self._told = told
        self._is_strict = is_strict
        self.good = 0
        self.failed: int | None = None
        """None where nothing was fanned out."""
        self.begun = self.done = 0
        self.left = 0
        """How many items that were to be worked on were not taken, as far as is known."""
        self.errors: list[ItemError] = []
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
        """What came of every item, in order; Invalid where one is bad under strict."""
        self.failed = self.failed or 0
        self._may_all_fail &= may_all_fail
        if total is None and isinstance(items, Sized):
            total = len(items)
        self.left += total or 0
        return self._each(self._executor.map(work, self._begun(items)), total, name, progress)

    @property
    def is_all_bad(self) -> bool:
        """Whether there were items, and none of them was good."""
        return bool(self.failed) and not self.good

    @property
    def gauges(self) -> dict[str, float]:
        """What is known of the items now. Those in flight are begun, and not taken yet."""
        return {
            "items_done": self.done,
            "items_failed": self.failed or 0,
            "items_in_flight": self.begun - self.done,
        }

    def check(self) -> None:
        """Raise Invalid where every item failed, and may not."""
        if self.is_all_bad and not self._may_all_fail:
            raise Invalid(
                "every item failed",
                expected="at least one good item",
                got=f"{self.failed} bad ones, the first of them: {self.errors[0].message}",
                hint="The stage's log names each",
            )

    def _begun(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            self.begun += 1
            yield item

    def _each(
        self,
        outcomes: Iterator[Mapped[Item, Value]],
        total: int | None,
        name: Callable[[Item], str],
        progress: Callable[[int, int | None], None],
    ) -> Iterator[Mapped[Item, Value]]:
        for number, mapped in enumerate(outcomes, start=1):
            self.done += 1
            progress(number, total)
            self.left -= number <= (total or 0)
            self.good += mapped.is_good
            if mapped.error is not None:
                self._keep(name(mapped.item), mapped.error)
            yield mapped

    def _keep(self, item: str, error: StageError) -> None:
        self.failed = (self.failed or 0) + 1
        kept = ItemError(
            item=redact(storable(item)) or "?", code=error.code, message=error.message or error.code
        )
        if len(self.errors) < MAX_ITEM_ERRORS:
            self.errors.append(kept)
        self._told(kept)
        if self._is_strict:
            raise Invalid(f"item {kept.item} failed", got=kept.message, hint="--strict was asked")
