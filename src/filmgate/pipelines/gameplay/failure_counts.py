"""Count the failed items of a stage by error code."""

from filmgate.core.digest import JsonObject


class FailureCounts:
    """Failed items by error code, with an example of each."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """Number of items by error code."""
        self._first: dict[str, tuple[str, str]] = {}

    def add(self, code: str, key: str, message: str) -> None:
        """Count a failed item."""
        self.counts[code] = self.counts.get(code, 0) + 1
        self._first.setdefault(code, (key, message))

    @property
    def by_code(self) -> JsonObject:
        """By error code: `count`, and key (`example`) and `message` of the first item."""
        return {
            code: {"count": self.counts[code], "example": key, "message": message}
            for code, (key, message) in sorted(self._first.items())
        }
