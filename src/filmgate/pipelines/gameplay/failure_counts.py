"""Count the failed items of a stage by error code."""

from typing import TypedDict


class FailureCount(TypedDict):
    """The items that failed with the same error code."""

    count: int
    example: str
    """Key of the first item."""
    message: str
    """Error message of the first item."""


class FailureCounts:
    """Failed items by error code, with an example of each."""

    def __init__(self) -> None:
        self._by_code: dict[str, FailureCount] = {}

    def add(self, code: str, key: str, message: str) -> None:
        """Count a failed item."""
        first = FailureCount(count=0, example=key, message=message)
        self._by_code.setdefault(code, first)["count"] += 1

    @property
    def counts(self) -> dict[str, int]:
        """Number of items by error code."""
        return {code: failure["count"] for code, failure in self._by_code.items()}

    @property
    def by_code(self) -> dict[str, FailureCount]:
        """All failures, sorted by error code."""
        return dict(sorted(self._by_code.items()))
