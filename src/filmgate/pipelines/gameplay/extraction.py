"""Extraction: each archive of a task list to a `.pt` file of sampled frames, once."""

import hashlib
import json
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib import metadata
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Annotated, Any, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.digest import canonical_json, digest, digest_of
from filmgate.core.errors import FilmgateError, Invalid, NotPermitted, Unavailable, first_fault
from filmgate.core.gameplay import FAILED, PT, Failure, GameItem, Sampling, Task
from filmgate.core.objects import ObjectStore, OpenStore
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench, Mapped
from filmgate.core.records import StageError
from filmgate.pipelines.gameplay.extracted import Extracted, Origin, value_of
from filmgate.pipelines.gameplay.files import ITEMS
from filmgate.pipelines.gameplay.rules import inputs as input_log
from filmgate.pipelines.gameplay.rules.members import Sample, samples
from filmgate.pipelines.gameplay.rules.tasks import MAX_LIST_BYTES, check_key, tasks
from filmgate.tools.containers import opened_within
from filmgate.tools.limits import bounded
from filmgate.tools.pieces import Pieces, PiecesFile, open_pieces
from filmgate.tools.sampling import SampledVideo, sample
from filmgate.tools.tars import Member, members, read_member
from filmgate.tools.torch_files.reading import PtFile
from filmgate.tools.torch_files.writing import write_pt

if TYPE_CHECKING:
    from av.container import InputContainer

VERSION = 1
"""Of what is extracted; raised whenever the same archive comes out differently."""

MAX_METADATA_BYTES = 4 << 20
MAX_INPUTS_BYTES = 64 << 20
CHUNK_BYTES = 8 << 20
"""Of what is fetched at a time."""


class ExtractionSettings(Settings):
    """Where archives and extractions lie, and what is kept of a video."""

    source_bucket: str = "game-data"
    """Of the archives: `s3://bucket/prefix`, or a folder."""
    manifest_bucket: str = "game-data-manifest"
    """Of the `.pt` files, likewise."""
    skip_existing: bool = True
    """Leave what was extracted with the same settings, and is whole, as it is."""
    compress: bool = False
    strict: bool = False
    """Take whole sessions only: one video, metadata and inputs, at a constant rate, unturned."""
    strides: dict[Annotated[int, Field(ge=1, le=10_000)], Annotated[int, Field(ge=1, le=1000)]] = (
        Field(default_factory=lambda: {3: 15, 30: 15, 60: 5})
    )
    """Every how many frames, and how many of them."""
    uniform: Annotated[int, Field(ge=0, le=1000)] = 60
    """Frames spread over the whole video."""
    shorter_side: Annotated[int, Field(ge=16, le=2160)] = 256
    max_archive_mb: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    """Of real sessions the largest had 2.8 GB."""
    time_limit_s: Annotated[int, Field(ge=1, le=86_400)] = 1800
    memory_limit_mb: Annotated[int, Field(ge=256, le=1_000_000)] = 4096
    """Of one item; beyond what a process has before it begins."""

    @property
    def sampling(self) -> Sampling:
        """Which frames are kept."""
        return Sampling(strides=self.strides, uniform=self.uniform, shorter_side=self.shorter_side)

    @property
    def facts(self) -> dict[str, Any]:
        """What decides what an extraction holds."""
        return {"version": VERSION, **self.sampling.model_dump(mode="json")}


class Spent(NamedTuple):
    """What an archive cost."""

    archive_bytes: int = 0
    frames: int = 0
    fetch_s: float = 0.0
    decode_s: float = 0.0
    write_s: float = 0.0
    requests: int = 0
    """Of the object store: reads by range, and writes."""

    def plus(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(
            archive_bytes=self.archive_bytes + other.archive_bytes,
            frames=self.frames + other.frames,
            fetch_s=self.fetch_s + other.fetch_s,
            decode_s=self.decode_s + other.decode_s,
            write_s=self.write_s + other.write_s,
            requests=self.requests + other.requests,
        )


class Worked(NamedTuple):
    """What came of an archive."""

    items: tuple[GameItem, ...]
    reused: int
    spent: Spent


@stage(makes=[ITEMS], settings=ExtractionSettings, tools=["av", "numpy"], version=VERSION)
def extraction(bench: Bench, settings: ExtractionSettings) -> Outcome:
    """Extract each archive; one that fails leaves an error record, and the others go on."""
    todo = tasks(listed(bench.source))
    source = bench.open_store(settings.source_bucket)
    bench.open_store(settings.manifest_bucket, make=True)
    _check_reachable(source, settings.source_bucket)
    work = partial(extract, open_store=bench.open_store, settings=settings)
    tally = _Tally(bench)
    bench.write_records(
        ITEMS,
        tally.items(bench.map(work, todo, name=_key, may_all_fail=True)),
    )
    version = metadata.version("av")
    return Done(
        producer=Producer(name="filmgate-extraction", version=f"{VERSION} (av {version})"),
        counts=tally.counts(),
        metrics=tally.metrics(),
    )


def _key(task: Task) -> str:
    return task.key


def listed(path: Path) -> bytes:
    """A task list; Invalid where it is too large to be one."""
    with path.open("rb") as file:
        data = file.read(MAX_LIST_BYTES + 1)
    if len(data) > MAX_LIST_BYTES:
        raise Invalid("the task list is too large", expected=f"at most {MAX_LIST_BYTES:,} bytes")
    return data


def _check_reachable(source: ObjectStore, place: str) -> None:
    """Raise what is wrong with the source as a whole, before it is said of every archive."""
    try:
        next(iter(source.pages("")), None)
    except FilmgateError as error:
        raise type(error)(
            f"the archives cannot be reached: {error.message}",
            expected=f"a folder or a bucket {place}",
            got=error.got,
            hint=error.hint or "Name it: --source-bucket",
        ) from error


class _Tally:
    """What came of all archives."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._began = time.monotonic()
        self._seen: Counter[str] = Counter()
        self._spent = Spent()
        self._failures: dict[str, dict[str, Any]] = {}

    def items(self, outcomes: Iterator[Mapped[Task, Worked]]) -> Iterator[GameItem]:
        """The records of all items, counted on their way."""
        for each in outcomes:
            worked = each.value
            if worked is None:
                assert each.error is not None
                worked = Worked((failed(each.item.key, each.error),), 0, Spent())
            self._seen["archives"] += 1
            self._seen["reused"] += worked.reused
            self._spent = self._spent.plus(worked.spent)
            for item in worked.items:
                self._seen[item.status] += 1
                if item.error is not None:
                    told = {"count": 0, "example": item.s3_key, "message": item.error.message}
                    self._failures.setdefault(item.error.code, told)["count"] += 1
                yield item
            failures = {code: told["count"] for code, told in self._failures.items()}
            self._bench.measure(self._rates(), failures)

    def counts(self) -> dict[str, int]:
        """How many of what."""
        names = ("archives", "extracted", "reused")
        return {name: self._seen[name] for name in names}

    def metrics(self) -> dict[str, Any]:
        """Rates, seconds by phase summed over workers, and failures by kind."""
        return {"failures": dict(sorted(self._failures.items())), **self._rates()}

    def _rates(self) -> dict[str, float]:
        """What is measured: sums so far, and rates since the stage began. `workers_busy`: how
        many workers were at work, on the mean."""
        spent, wall_s = self._spent, time.monotonic() - self._began
        busy = spent.fetch_s + spent.decode_s + spent.write_s
        return {
            "archive_bytes": spent.archive_bytes,
            "frames_sampled": spent.frames,
            "store_requests": spent.requests,
            "fetch_s": round(spent.fetch_s, 3),
            "decode_s": round(spent.decode_s, 3),
            "write_s": round(spent.write_s, 3),
            "workers_busy": round(busy / wall_s, 2) if wall_s else 0.0,
            "archives_per_s": round(self._seen["archives"] / wall_s, 3) if wall_s else 0.0,
            "bytes_per_s": round(spent.archive_bytes / wall_s) if wall_s else 0,
        }


def failed(key: str, error: StageError | FilmgateError, video_id: str | None = None) -> GameItem:
    """The record of an item that came to nothing."""
    told = error.details
    failure = Failure(
        code=str(told.get("reason", error.code)),
        message=str(error) if isinstance(error, FilmgateError) else error.message,
        expected=told.get("expected"),
        got=told.get("got"),
        hint=told.get("hint"),
        traceback=told.get("traceback"),
    )
    return GameItem(s3_key=key, status="failed", video_id=video_id, error=failure)


def extract(task: Task, *, open_store: OpenStore, settings: ExtractionSettings) -> Worked:
    """Extract one archive, wherever this runs; FilmgateError, with a `reason`, where it fails."""
    check_key(task)
    source = open_store(settings.source_bucket)
    target = open_store(settings.manifest_bucket, make=True)
    limits = {"seconds": settings.time_limit_s, "memory_bytes": settings.memory_limit_mb << 20}
    try:
        with bounded(**limits):
            return _Extractor(task, source, target, settings).work()
    except (Unavailable, NotPermitted):
        raise
    except FilmgateError as error:
        _leave_record(target, task, error)
        raise
    except Exception as error:
        unforeseen = Invalid(
            f"nobody foresaw this: {type(error).__name__}: {error}"[:500],
            reason="unexpected",
            traceback=traceback.format_exc(limit=-8),
        )
        _leave_record(target, task, unforeseen)
        raise unforeseen from error


def _leave_record(target: ObjectStore, task: Task, error: FilmgateError) -> None:
    """Say beside where its `.pt` file would be why there is none."""
    item = failed(task.key, error)
    target.replace(task.stem + FAILED, canonical_json(item.model_dump(mode="json")) + b"\n")


class _Extractor:
    """At one archive."""

    def __init__(
        self, task: Task, source: ObjectStore, target: ObjectStore, settings: ExtractionSettings
    ) -> None:
        self._task = task
        self._source = source
        self._target = target
        self._settings = settings
        self._spent = dict.fromkeys(("fetch_s", "decode_s", "write_s"), 0.0)
        self._frames = 0
        self._requests = 0

    def work(self) -> Worked:
        pieces = open_pieces(self._source, self._task.key)
        try:
            return self._archive(pieces)
        finally:
            pieces.close()

    def _archive(self, pieces: Pieces) -> Worked:
        most = self._settings.max_archive_mb << 20
        if pieces.size > most:
            raise Invalid(
                "the archive is too large",
                expected=f"at most {most:,} bytes",
                got=f"{pieces.size:,}",
                hint="Raise the limit: --set extraction.max_archive_mb=…",
                reason="archive_too_large",
            )
        with self._timed("fetch_s"):
            found = samples(members(pieces), strict=self._settings.strict)
        if len(found) == 1 and found[0].name is None:
            item, is_reused = self._sample(pieces, found[0])
            return self._worked([item], int(is_reused), pieces)
        outcomes = [self._of_several(pieces, each) for each in found]
        reused = sum(is_reused for _, is_reused in outcomes)
        return self._worked([item for item, _ in outcomes], reused, pieces)

    def _of_several(self, pieces: Pieces, each: Sample) -> tuple[GameItem, bool]:
        """What came of one sample of several, and whether it was there already."""
        try:
            return self._sample(pieces, each)
        except Unavailable:
            raise
        except FilmgateError as error:
            return failed(self._task.key, error, self._names(each)[1]), False

    def _names(self, each: Sample) -> tuple[str, str]:
        """The key of a sample's file without its end, and what its video goes by."""
        stem = self._task.stem
        if each.name is None:
            return stem, _last(stem)
        return f"{stem}/{each.name}", f"{_last(stem)}/{each.name}"

    def _worked(self, items: list[GameItem], reused: int, pieces: Pieces) -> Worked:
        read = 0 if reused == len(items) else pieces.size
        spent = Spent(
            archive_bytes=read,
            frames=self._frames,
            requests=self._requests + pieces.calls,
            **self._spent,
        )
        return Worked(tuple(items), reused, spent)

    def _there(self, stem: str, each: Sample, about: bytes) -> GameItem | None:
        """What was extracted before of members of these sizes and this metadata, with these
        settings; None where that is to be done."""
        if not self._settings.skip_existing:
            return None
        try:
            extracted = Extracted(PtFile(open_pieces(self._target, stem + PT)))
        except FilmgateError:
            return None
        is_it = (
            extracted.s3_key == self._task.key
            and extracted.facts == {**self._settings.facts, **_tools()}
            and extracted.input["sizes"] == {member.name: member.size for member in each.members}
            and extracted.input["members"][each.metadata.name] == digest(about)
        )
        return _item(stem, extracted) if is_it else None

    def _sample(self, pieces: Pieces, each: Sample) -> tuple[GameItem, bool]:
        """What came of a sample, and whether it was there already. Else it is extracted, and its
        file put where it belongs."""
        stem, video_id = self._names(each)
        with self._timed("fetch_s"):
            told = read_member(pieces, each.metadata, most=MAX_METADATA_BYTES)
            if (there := self._there(stem, each, told)) is not None:
                return there, True
            about = _metadata(told)
            logged = read_member(pieces, each.inputs, most=MAX_INPUTS_BYTES) if each.inputs else b""
            fetched, digests = self._fetched(pieces, each)
        with fetched as file, self._timed("decode_s"):
            video = sample(partial(_opened, file, each.video), self._settings.sampling)
        log = input_log.parse(logged)
        remarks = tuple(_remarks(video, log, has_log=each.inputs is not None))
        if self._settings.strict:
            _check_strict(remarks)
        origin = Origin(
            s3_key=self._task.key,
            video_id=video_id,
            sizes={member.name: member.size for member in each.members},
            members=digests,
            digest=digest_of(dict(sorted(digests.items()))),
        )
        with self._timed("write_s"):
            facts = {**self._settings.facts, **_tools()}
            value = value_of(origin, video, about, log, facts, remarks)
            out = BytesIO()
            sealed = write_pt(out, value, compress=self._settings.compress)
            self._target.replace(stem + PT, out.getvalue())
            self._requests += 1
        self._frames += sum(len(series.frames) for series in video.series.values())
        item = GameItem(
            s3_key=self._task.key,
            status="extracted",
            video_id=video_id,
            pt_key=stem + PT,
            pt_digest=sealed,
            input_digest=origin.digest,
            remarks=remarks,
        )
        return item, False

    def _fetched(self, pieces: Pieces, each: Sample) -> tuple[IO[bytes], dict[str, str]]:
        """The video as a file, and the digests of all members of the sample. What lies elsewhere
        is copied into a file without a name."""
        digests = {}
        is_here = self._source.path(self._task.key) is not None
        window = PiecesFile(pieces, each.video.start, each.video.size)
        file = cast("IO[bytes]", window) if is_here else TemporaryFile()  # noqa: SIM115 - handed on
        for member in each.members:
            hashed = hashlib.sha256()
            for start in range(0, member.size, CHUNK_BYTES):
                size = min(CHUNK_BYTES, member.size - start)
                chunk = pieces.read(member.start + start, size)
                hashed.update(chunk)
                if member is each.video and not is_here:
                    file.write(chunk)
            digests[member.name] = f"sha256:{hashed.hexdigest()}"
        return file, digests

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._spent[name] += time.monotonic() - began


def _opened(file: IO[bytes], video: Member) -> "AbstractContextManager[InputContainer]":
    file.seek(0)
    return opened_within(cast("Any", file), video.name, video.size)


def _last(stem: str) -> str:
    return stem.rpartition("/")[2]


def _tools() -> dict[str, Any]:
    return {"av": metadata.version("av")}


class _Metadata(BaseModel):
    """What a recorder wrote beside the video: an object; its fields are its own affair."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


def _metadata(data: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(data.decode("utf-8-sig"), parse_constant=_no_constant)
        return _Metadata.model_validate(told).model_dump()
    except (ValueError, RecursionError) as error:
        raise Invalid(
            "the metadata is no JSON object",
            expected="a JSON object in UTF-8",
            got=first_fault(error) if isinstance(error, ValueError) else "nested without end",
            reason="metadata_not_json",
        ) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _item(stem: str, extracted: Extracted) -> GameItem:
    """The record of what was extracted before."""
    return GameItem(
        s3_key=extracted.s3_key,
        status="extracted",
        video_id=extracted.video_id,
        pt_key=stem + PT,
        pt_digest=extracted.digest,
        input_digest=extracted.input["digest"],
        remarks=extracted.remarks,
    )


def _remarks(video: SampledVideo, log: input_log.Inputs, *, has_log: bool) -> Iterator[str]:
    """What is unusual about a recording; nothing of it keeps it from being sampled right."""
    if video.is_variable_rate:
        yield VARIABLE_RATE
    if video.rotation:
        yield ROTATED
    if not has_log:
        yield "no_inputs"
    if log.bad_lines:
        yield "bad_input_lines"
    if video.decode_errors or video.damaged_frames:
        yield "damaged"


VARIABLE_RATE, ROTATED = "variable_rate", "rotated"


def _check_strict(remarks: Sequence[str]) -> None:
    """Raise Invalid for what a recorder of sessions does not make."""
    for reason, wanted in ((VARIABLE_RATE, "a constant rate"), (ROTATED, "upright pictures")):
        if reason in remarks:
            raise Invalid(
                "this is no recording of a session",
                expected=wanted,
                got=reason.replace("_", " "),
                hint="Without extraction.strict it is taken as it is",
                reason=reason,
            )
