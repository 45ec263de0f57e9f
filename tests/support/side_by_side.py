"""Many at once."""

import threading
from collections.abc import Callable


def at_once(work: Callable[[int], object], count: int) -> list[BaseException]:
    """Do `work(0)` to `work(count - 1)` side by side; what they raised."""
    raised: list[BaseException] = []

    def try_it(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - told to the caller
            raised.append(error)

    threads = [threading.Thread(target=try_it, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
