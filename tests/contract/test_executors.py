"""What every executor promises, held against each of them."""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from filmgate.core.errors import ContractBroken
from filmgate.core.ports import Executor
from filmgate.engine.executors.in_process import InProcess
from filmgate.engine.executors.process_pool import ProcessPool
from filmgate.engine.executors.ray_cluster import RayCluster
from support.items import die_always, die_once, double, slow_first, unspeakable

FORK = get_context("fork")
TESTS = str(Path(__file__).parents[1])

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "in_process": InProcess,
    "process_pool": partial(ProcessPool, 2),
    "ray": partial(RayCluster, 2),
}
ON_RAY = pytest.param("ray", marks=pytest.mark.proof)
"""A cluster takes long to begin."""

EVERY = ["in_process", "process_pool", ON_RAY]
ELSEWHERE = ["process_pool", ON_RAY]


@pytest.fixture(scope="module", autouse=True)
def _importable_elsewhere() -> Iterator[None]:
    """Workers find these tests' functions as those of any installed module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([TESTS, *sys.path]))
        yield


@pytest.fixture(scope="module")
def shared() -> Iterator[Callable[[str], Executor]]:
    """One executor of each kind for all tests that leave it whole."""
    made: dict[str, Executor] = {}

    def of(name: str) -> Executor:
        return made.setdefault(name, EXECUTORS[name]())

    yield of
    for executor in made.values():
        executor.close()
        executor.close()


@pytest.mark.parametrize("name", EVERY)
def test_what_comes_of_every_item_comes_in_the_order_of_the_items(
    shared: Callable[[str], Executor], name: str
) -> None:
    assert [each.value for each in shared(name).map(slow_first, range(6))] == list(range(6))


@pytest.mark.parametrize("name", EVERY)
def test_a_bad_item_is_its_own_error_and_no_other_items(
    shared: Callable[[str], Executor], name: str
) -> None:
    mapped = list(shared(name).map(double, range(1, 15)))
    assert [each.item for each in mapped if not each.is_good] == [7, 14]
    assert mapped[6].error is not None
    assert mapped[6].error.message == "ValueError: 7 is a multiple of seven"
    assert [each.value for each in mapped if each.is_good][-1] == 26


@pytest.mark.parametrize("name", EVERY)
def test_no_item_is_a_result_of_none(shared: Callable[[str], Executor], name: str) -> None:
    assert list(shared(name).map(double, [])) == []


@pytest.mark.parametrize("name", EVERY)
def test_items_are_read_only_a_few_ahead(shared: Callable[[str], Executor], name: str) -> None:
    read = []

    def endless() -> Iterator[int]:
        for item in itertools.count(1):
            read.append(item)
            yield item

    taken = list(itertools.islice(shared(name).map(double, endless()), 3))
    assert [each.value for each in taken] == [2, 4, 6]
    assert len(read) <= 10


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_item_whose_worker_died_is_tried_again(
    shared: Callable[[str], Executor], name: str, tmp_path: Path
) -> None:
    items = [(str(tmp_path), number) for number in range(6)]
    assert [each.value for each in shared(name).map(die_once, items)] == list(range(6))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_item_that_kills_every_worker_is_its_own_error(
    shared: Callable[[str], Executor], name: str
) -> None:
    mapped = list(shared(name).map(die_always, range(5)))
    assert [each.value for each in mapped] == [0, 1, None, 3, 4]
    assert mapped[2].error is not None
    assert mapped[2].error.code == "worker_died"


def test_in_process_the_death_of_the_worker_is_the_death_of_the_runner(tmp_path: Path) -> None:
    items = [(str(tmp_path), number) for number in range(6)]
    child = FORK.Process(target=lambda: list(InProcess().map(die_once, items)))
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    assert [each.value for each in InProcess().map(die_once, items)] == list(range(6))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_value_that_cannot_travel_is_the_error_of_its_item(
    shared: Callable[[str], Executor], name: str
) -> None:
    mapped = list(shared(name).map(unspeakable, range(3)))
    assert [each.is_good for each in mapped] == [True, False, True]
    assert mapped[1].error is not None
    assert "cannot travel" in mapped[1].error.message


def test_work_that_cannot_travel_is_refused_before_any_item() -> None:
    with pytest.raises(ContractBroken, match="function of a module"):
        next(ProcessPool(1).map(lambda item: item, [1]))
