"""Every system call by which a run changes the disk, failing in turn: the run comes through."""

import mmap
import re
import shutil
import signal
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import pytest

from filmgate.core.states import RunState, StageState
from filmgate.engine.verification import verify
from filmgate.store.run_directory import COMMITS, LOGS, STATUS, VERDICTS, FolderRun
from support.runs import Witness, artifact_bytes, execute, reserve_run
from support.strace import Call, Traced, traced, why_not

CALLS = (
    *("open", "openat", "creat", "mknod", "mknodat", "mkdir", "mkdirat"),
    *("write", "writev", "pwrite64", "pwritev", "sendfile", "copy_file_range", "fallocate"),
    *("truncate", "ftruncate", "fsync", "fdatasync", "link", "linkat", "symlink", "symlinkat"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"),
    *("chmod", "fchmod", "fchmodat", "utimensat", "setxattr", "fsetxattr"),
)
"""Every call that can change the disk, or make a change last."""

KILL = "signal=SIGKILL"
SHORT_WRITE = "retval=1"
"""The system says that it wrote one byte, and wrote none."""

FAULTS = (KILL, "error=ENOSPC", "error=EIO", SHORT_WRITE)
AT_A_TIME = 2
NAME = "mine"


@dataclass(frozen=True)
class Site:
    """A folder with everything of one case in it."""

    folder: Path
    source: Path
    before: Path | None = None
    """The home as somebody else left it."""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def run(self) -> FolderRun:
        """Its run, reserved if nobody came so far. Reads anew, so that timing changes no call."""
        folder = self.home / "manifests" / "film" / "runs" / NAME
        if not folder.exists():
            reserve_run(self.home, self.source, run_id=NAME)
        return FolderRun(folder, trust_times=False)

    def invoke(
        self, memory: "Memory", calls: Iterable[str], *, inject: str | None = None
    ) -> tuple[Traced, str]:
        """Execute in a traced child; what it called, and how it ended."""
        self.folder.mkdir()
        if self.before:
            shutil.copytree(self.before, self.home)
        log = self.folder.with_suffix(".strace")
        met = traced(lambda: work(self, memory), log, calls, inject=inject)
        return met, next(iter(memory.words("ended")), "killed")

    def about(self, call: Call) -> str:
        """The paths of this folder that a call names, without what changes from run to run."""
        paths = re.findall(rf"{re.escape(str(self.folder))}([^\">]*)", call.rest)
        return " ".join(dict.fromkeys(re.sub(r"\.\d+", ".PID", path) for path in paths))


@dataclass(frozen=True)
class Case:
    """One fault at one call."""

    call: Call
    about: str
    fault: str

    @property
    def inject(self) -> str:
        """In strace's words."""
        return f"{self.call.name}:{self.fault}:when={self.call.ordinal}"

    @property
    def is_harmless(self) -> bool:
        """Whether a run may succeed all the same: only logs and the live view suffered, or a
        folder that was there could not be made once more."""
        return "EEXIST" in self.call.rest or any(
            name in self.about for name in (f"/{LOGS}", STATUS)
        )

    def __str__(self) -> str:
        return f"{self.fault} at {self.call.name} {self.call.ordinal} ({self.about})"


@dataclass(frozen=True)
class Judged:
    """How the invocation ended that met the fault, and what was wrong then or later."""

    case: Case
    ended: str
    complaint: str = ""


class Memory(Witness):
    """An observer whose memory outlives its process, and that calls nothing to keep it."""

    def __init__(self) -> None:
        super().__init__()
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)

    def stage_started(self, stage: str) -> None:
        self.keep("began", stage)

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        self.keep(state, stage)

    def keep(self, kind: str, word: str) -> None:
        self._shared.write(f"{kind} {word}\n".encode())

    def words(self, kind: str) -> set[str]:
        lines = self._shared[:].rstrip(b"\0").decode().splitlines()
        return {word for found, word in map(str.split, lines) if found == kind}


def work(site: Site, memory: Memory) -> None:
    """In the child."""
    try:
        manifest = execute(site.run, site.source, witness=memory)
    except Exception as error:
        memory.keep("ended", type(error).__name__)
        raise
    memory.keep("ended", manifest.status)


@dataclass(frozen=True)
class Undisturbed:
    """A run that no fault met: the right bytes, the right files, and what there is to sweep."""

    right: dict[str, bytes]
    files: list[str]
    cases: list[Case]


def undisturbed(site: Site) -> Undisturbed:
    met, ended = site.invoke(Memory(), CALLS)
    assert ended == RunState.SUCCESS
    cases = [
        Case(call, site.about(call), fault)
        for call, fault in product(met.calls, FAULTS)
        if call.changes_disk and site.about(call)
        if fault != SHORT_WRITE or call.name == "write"
    ]
    return Undisturbed(artifact_bytes(site.run), files_of(site.run), cases)


def files_of(run: FolderRun) -> list[str]:
    """What lies in a run's folder, but for what a stage that had failed adds to it."""
    paths = (path.relative_to(run.folder) for path in run.folder.rglob("*"))
    return sorted(str(path) for path in paths if not {COMMITS, VERDICTS} & set(path.parts))


def judge(case: Case, site: Site, whole: Undisturbed) -> Judged:
    """Run into the fault; then run as if nothing had been."""
    memory = Memory()
    met, ended = site.invoke(memory, [case.call.name], inject=case.inject)
    try:
        assert_hit(case, site, met, ended)
        if ended == RunState.SUCCESS:
            assert artifact_bytes(site.run) == whole.right, "success over wrong bytes"
        assert_comes_through(site, memory, whole)
    except Exception as error:  # noqa: BLE001 - all cases are judged before any is told of
        return Judged(case, ended, f"{type(error).__name__}: {error}")
    return Judged(case, ended)


def assert_hit(case: Case, site: Site, met: Traced, ended: str) -> None:
    """The fault struck the call that was meant, and a killed process was really killed."""
    hit = [site.about(call) for call in met.calls if call.ordinal == case.call.ordinal]
    assert hit == [case.about]
    assert (met.exit_code == -signal.SIGKILL) == (case.fault == KILL) == (ended == "killed")


def assert_comes_through(site: Site, memory: Memory, whole: Undisturbed) -> None:
    """The same command ends well, with the right bytes, and does at most one stage again."""
    witness = Witness()
    assert execute(site.run, site.source, witness=witness).status is RunState.SUCCESS
    assert artifact_bytes(site.run) == whole.right
    assert verify(site.run).status is RunState.SUCCESS
    assert files_of(site.run) == whole.files
    again = memory.words("began") & set(witness.ran)
    assert not again & memory.words(StageState.SUCCESS), "an acknowledged success ran again"
    assert len(again) <= 1


def sweep(folder: Path, source: Path, *, every: int, before: Path | None = None) -> list[Judged]:
    """Every so many of all cases of a run, or of one that goes on where somebody left it."""
    whole = undisturbed(Site(folder / "undisturbed", source, before))
    with ProcessPoolExecutor(AT_A_TIME, get_context("fork")) as zygotes:
        asked = [
            zygotes.submit(judge, case, Site(folder / f"case-{number}", source, before), whole)
            for number, case in enumerate(whole.cases[::every])
        ]
        return [answer.result() for answer in asked]


def killed(folder: Path, source: Path, about: str) -> Path:
    """The home of a run that was killed at its first call about a path."""
    folder.mkdir()
    cases = undisturbed(Site(folder / "undisturbed", source)).cases
    case = next(each for each in cases if each.fault == KILL and each.about.endswith(about))
    site = Site(folder / "killed", source)
    _, ended = site.invoke(Memory(), [case.call.name], inject=case.inject)
    assert ended == "killed"
    return site.home


def tell(judged: Iterable[Judged]) -> str:
    """How many cases of each fault ended how."""
    counts = Counter((each.case.fault, each.ended) for each in judged)
    told = [f"{count} {fault} -> {ended}" for (fault, ended), count in sorted(counts.items())]
    return f"{counts.total()} cases: {'; '.join(told)}"


@pytest.fixture
def strace(tmp_path: Path) -> None:
    if reason := why_not(tmp_path):
        pytest.skip(reason)


def assert_all_came_through(judged: list[Judged]) -> None:
    print(tell(judged))  # noqa: T201 - the size of the proof
    failed = [each for each in judged if each.complaint]
    assert [f"{each.case}: {each.ended}; {each.complaint}" for each in failed] == []
    unmoved = [each.case for each in judged if each.ended == RunState.SUCCESS]
    assert [str(case) for case in unmoved if not case.is_harmless] == []


@pytest.mark.usefixtures("strace")
def test_a_run_comes_through_faults_at_some_of_the_calls_that_change_the_disk(
    in_memory: Path, source: Path
) -> None:
    assert_all_came_through(sweep(in_memory, source, every=10))


@pytest.mark.proof
@pytest.mark.usefixtures("strace")
def test_a_run_comes_through_every_fault_at_every_call_that_changes_the_disk(
    in_memory: Path, source: Path
) -> None:
    judged = sweep(in_memory, source, every=1)
    assert {each.case.call.name for each in judged} >= {"write", "fsync"}
    assert_all_came_through(judged)


@pytest.mark.proof
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(
    "about",
    [
        pytest.param("/part.a1.scenes.jsonl", marks=pytest.mark.nightly),
        f"/{NAME}/scenes.jsonl",
    ],
)
def test_a_run_that_goes_on_after_a_kill_comes_through_every_further_fault(
    in_memory: Path, source: Path, about: str
) -> None:
    """One was killed while it made a file, the other when the file's record had been named."""
    before = killed(in_memory / "before", source, about)
    assert_all_came_through(sweep(in_memory, source, every=1, before=before))
