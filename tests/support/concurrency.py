"""Calls a function in several threads at once."""

import threading
from collections.abc import Callable


def run_concurrently(work: Callable[[int], object], count: int) -> list[BaseException]:
    """Call `work(0)` to `work(count - 1)` in parallel threads; return the exceptions raised."""
    raised: list[BaseException] = []

    def collect_error(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - returned to the caller
            raised.append(error)

    threads = [threading.Thread(target=collect_error, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
