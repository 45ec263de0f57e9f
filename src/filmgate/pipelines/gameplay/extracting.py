"""Extracting one archive."""

import hashlib
import json
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib import metadata
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from filmgate.core.digest import canonical_json, digest, digest_of
from filmgate.core.errors import FilmgateError, Invalid, NotFound, NotPermitted, Unavailable
from filmgate.core.gameplay import FAILED, PT, Failure, GameItem, Task
from filmgate.core.objects import ObjectStore, OpenStore
from filmgate.core.records import StageError
from filmgate.pipelines.gameplay.extracted import Extracted, Origin, value_of
from filmgate.pipelines.gameplay.rules import inputs as input_log
from filmgate.pipelines.gameplay.rules.members import Sample, samples
from filmgate.pipelines.gameplay.rules.tasks import check_key
from filmgate.pipelines.gameplay.settings import ExtractionSettings
from filmgate.tools.containers import opened_within
from filmgate.tools.limits import bounded
from filmgate.tools.pieces import Pieces, PiecesFile, open_pieces
from filmgate.tools.sampling import SampledVideo, sample
from filmgate.tools.tars import Member, members, read_member
from filmgate.tools.torch_files.pickling import pickled
from filmgate.tools.torch_files.reading import PtFile
from filmgate.tools.torch_files.writing import write_pt

if TYPE_CHECKING:
    from av.container import InputContainer

MAX_METADATA_BYTES = 4 << 20
MAX_INPUTS_BYTES = 64 << 20
CHUNK_BYTES = 8 << 20
"""Of what is fetched at a time."""


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
    check_key(task, archives_only=True)
    source = open_store(settings.source_bucket)
    target = open_store(settings.manifest_bucket, make=True)
    limits = {"seconds": settings.time_limit_s, "memory_bytes": settings.memory_limit_mb << 20}
    try:
        with bounded(**limits):
            return _Extractor(task, source, target, settings).work()
    except (Unavailable, NotPermitted):
        raise
    except NotFound as error:
        if target.entry(task.stem + PT) is None:  # sources may go once they are extracted
            _leave_record(target, task.stem, failed(task.key, error))
        raise
    except FilmgateError as error:
        _leave_record(target, task.stem, failed(task.key, error))
        raise
    except Exception as error:
        unforeseen = Invalid(
            f"nobody foresaw this: {type(error).__name__}: {error}"[:500],
            reason="unexpected",
            traceback=traceback.format_exc(limit=-8),
        )
        _leave_record(target, task.stem, failed(task.key, unforeseen))
        raise unforeseen from error


def _leave_record(target: ObjectStore, stem: str, item: GameItem) -> None:
    """Say beside where its `.pt` file would be why there is none. One that is there, of what the
    archive was before, stays where it is: it was dear, and whoever judges reads the record first.
    """
    target.replace(stem + FAILED, canonical_json(item.model_dump(mode="json")) + b"\n")


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
        named = sorted(found, key=lambda each: self._names(each)[0])
        outcomes = [self._of_several(pieces, each) for each in named]
        reused = sum(is_reused for _, is_reused in outcomes)
        return self._worked([item for item, _ in outcomes], reused, pieces)

    def _of_several(self, pieces: Pieces, each: Sample) -> tuple[GameItem, bool]:
        """What came of one sample of several, and whether it was there already."""
        try:
            return self._sample(pieces, each)
        except (Unavailable, NotPermitted):
            raise
        except FilmgateError as error:
            stem, video_id = self._names(each)
            item = failed(self._task.key, error, video_id)
            _leave_record(self._target, stem, item)
            return item, False

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
        settings; None where that is to be done. On this machine, all of the file is held against
        its seal; elsewhere, only what it says of itself, and what is read of it later."""
        if not self._settings.skip_existing:
            return None
        try:
            file = PtFile(open_pieces(self._target, stem + PT))
            extracted = Extracted(file)
            if self._target.path(stem + PT) is not None:
                file.check_all()
        except (Unavailable, NotPermitted):
            raise
        except FilmgateError:
            return None
        is_it = (
            extracted.s3_key == self._task.key
            and extracted.facts == {**self._settings.facts, **_tools()}
            and extracted.input["sizes"] == {member.name: member.size for member in each.members}
            and extracted.input["members"][each.metadata.name] == digest(about)
        )
        if not is_it:
            return None
        self._target.remove(stem + FAILED)
        return _item(stem, extracted)

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
            self._target.remove(stem + FAILED)
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


def _metadata(data: bytes) -> Mapping[str, Any]:
    try:
        told = _an_object(json.loads(data.decode("utf-8-sig")))
        canonical_json(told)  # neither infinite numbers nor halves of characters
        pickled(told, lambda _: None)
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid(
            "the metadata is no JSON object",
            expected="a JSON object in UTF-8",
            got=str(error)[:200] or type(error).__name__,
            reason="metadata_not_json",
        ) from error
    return told


def _an_object(told: Any) -> dict[str, Any]:
    if isinstance(told, dict):
        return told
    raise TypeError(f"a {type(told).__name__}")


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
    elif not log.is_timed:
        yield "untimed_inputs"
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
