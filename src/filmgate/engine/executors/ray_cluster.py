"""Ray: workers on this machine or on a cluster."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Any

from filmgate.core.errors import Unavailable
from filmgate.core.ports import Item, Mapped, Value
from filmgate.core.records import StageError
from filmgate.engine.executors.item import (
    TRIES,
    attempt_item,
    cannot_travel,
    check_can_travel,
    worker_died,
)

AHEAD = 2


class RayCluster:
    """The port `Executor`, on the cluster that `RAY_ADDRESS` names, else on one of its own.

    `workers` is how many items are at work at a time. Ray begins an item again where its worker
    or its node died.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._is_ours = False
        self._is_closed = False
        self._connecting = Lock()

    def map(
        self, work: Callable[[Item], Value], items: Iterable[Item]
    ) -> Iterator[Mapped[Item, Value]]:
        """What came of every item, in their order."""
        check_can_travel(work)
        ray = self._connect()
        remote = ray.remote(attempt_item).options(max_retries=TRIES - 1)
        sent = ray.put(work)
        begun: deque[tuple[Item, Any]] = deque()
        try:
            for item in items:
                begun.append((item, _sent(remote, sent, item)))
                if len(begun) >= self._workers * AHEAD:
                    yield _taken(ray, *begun.popleft())
            while begun:
                yield _taken(ray, *begun.popleft())
        finally:
            for _, reference in begun:
                if not isinstance(reference, StageError):
                    ray.cancel(reference, force=True)

    def close(self) -> None:
        """Leave the cluster; end it where it was begun here."""
        with self._connecting:
            self._is_closed = True
            if self._is_ours:
                import ray  # begun above

                ray.shutdown()
                self._is_ours = False

    def _connect(self) -> Any:
        try:
            import ray  # heavy, and wanted by few
        except ImportError as error:
            raise Unavailable(
                "ray is not installed",
                expected="the packages of the extra 'ray'",
                got="no ray",
                hint="pip install 'filmgate[ray]', or run with --executor local",
            ) from error
        is_elsewhere = "RAY_ADDRESS" in os.environ
        with self._connecting:
            if self._is_closed:
                raise Unavailable("the executor was closed")
            if not ray.is_initialized():
                ray.init(
                    num_cpus=None if is_elsewhere else self._workers,
                    include_dashboard=None if is_elsewhere else False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
                self._is_ours = True
        return ray


def _sent(remote: Any, work: Any, item: Any) -> Any:
    """Begin an item; its error where it cannot travel."""
    try:
        return remote.remote(work, item)
    except TypeError as error:
        return cannot_travel(error)


def _taken(ray: Any, item: Item, reference: Any) -> Mapped[Item, Any]:
    """Wait for one item; the death of all its workers is its error."""
    if isinstance(reference, StageError):
        return Mapped(item=item, error=reference)
    try:
        value, error = ray.get(reference)
    except ray.exceptions.RayTaskError as failed:
        return Mapped(item=item, error=cannot_travel(failed))
    except ray.exceptions.RayError as died:
        return worker_died(item, type(died).__name__)
    return Mapped(item=item, value=value, error=error)
