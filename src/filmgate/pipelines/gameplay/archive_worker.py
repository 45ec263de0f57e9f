"""Extraction of one archive: the function that workers execute."""

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
from typing import IO, TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from filmgate.core.digest import canonical_json, digest, digest_of
from filmgate.core.errors import FilmgateError, Invalid, NotFound, NotPermitted, Unavailable
from filmgate.core.objects import ObjectStore, OpenStore
from filmgate.core.records import StageError
from filmgate.pipelines.gameplay.contracts import (
    ERROR_SUFFIX,
    PT_SUFFIX,
    ExtractionTask,
    Failure,
    GameItem,
)
from filmgate.pipelines.gameplay.extracted import ExtractedFile, FileOrigin, build_value
from filmgate.pipelines.gameplay.rules import inputs as input_log
from filmgate.pipelines.gameplay.rules.members import ArchiveSample, group_samples
from filmgate.pipelines.gameplay.rules.tasks import check_key
from filmgate.pipelines.gameplay.settings import ExtractionSettings
from filmgate.tools.byte_ranges import ByteRanges, ByteRangesFile, open_byte_ranges
from filmgate.tools.containers import open_embedded_media
from filmgate.tools.resource_limits import limit_resources
from filmgate.tools.sampling import SampledVideo, sample
from filmgate.tools.tars import Member, members, read_member
from filmgate.tools.torch_files.pickling import dump_pickle
from filmgate.tools.torch_files.reading import PtFile
from filmgate.tools.torch_files.writing import write_pt

if TYPE_CHECKING:
    from av.container import InputContainer

MAX_METADATA_BYTES = 4 << 20
MAX_INPUTS_BYTES = 64 << 20
CHUNK_BYTES = 8 << 20
"""Size of one read from the object store, in bytes."""


class ExtractionCosts(NamedTuple):
    """The resources used for an archive, or for several."""

    archive_bytes: int = 0
    """Size of the archives that were read."""
    frames: int = 0
    """Number of frames that were sampled."""
    fetch_s: float = 0.0
    decode_s: float = 0.0
    write_s: float = 0.0
    requests: int = 0
    """Number of requests to object stores: range reads and writes."""

    def plus(self, other: "ExtractionCosts") -> "ExtractionCosts":
        """Add the costs of another archive."""
        return ExtractionCosts._make(map(sum, zip(self, other, strict=True)))


class ExtractionResult(NamedTuple):
    """The result of extracting an archive."""

    items: tuple[GameItem, ...]
    reused: int
    """Number of items whose existing `.pt` file was reused."""
    costs: ExtractionCosts


class ArchiveNotPermitted(NotPermitted):
    """The archive cannot be read; other archives of the same store may be readable."""

    reason = NotPermitted.code


def make_failed_item(
    key: str, error: StageError | FilmgateError, video_id: str | None = None
) -> GameItem:
    """Make the record of an item that failed."""
    details = error.details
    failure = Failure(
        code=str(details.get("reason", error.code)),
        message=str(error) if isinstance(error, FilmgateError) else error.message,
        expected=details.get("expected"),
        got=details.get("got"),
        hint=details.get("hint"),
        traceback=details.get("traceback"),
    )
    return GameItem(s3_key=key, status="failed", video_id=video_id, error=failure)


def extract_archive(
    task: ExtractionTask, *, open_store: OpenStore, settings: ExtractionSettings
) -> ExtractionResult:
    """Extract one archive; can run in any process.

    Raises FilmgateError, with a `reason`, if the extraction fails. An error of the archive is also
    written to a failure record beside the path of its `.pt` file.
    """
    check_key(task, archives_only=True)
    source = open_store(settings.source_bucket)
    target = open_store(settings.manifest_bucket, make=True)
    limits = {"seconds": settings.time_limit_s, "memory_bytes": settings.memory_limit_mb << 20}
    try:
        with limit_resources(**limits):
            return _ArchiveExtractor(task, source, target, settings).extract()
    except (Unavailable, NotPermitted):
        raise
    except NotFound as error:
        if target.entry(task.stem + PT_SUFFIX) is None:  # archives may be deleted after extraction
            _write_failure_record(target, task.stem, make_failed_item(task.key, error))
        raise
    except FilmgateError as error:
        _write_failure_record(target, task.stem, make_failed_item(task.key, error))
        raise
    except Exception as error:
        unexpected = Invalid(
            f"unexpected error: {type(error).__name__}: {error}"[:500],
            reason="unexpected",
            traceback=traceback.format_exc(limit=-8),
        )
        _write_failure_record(target, task.stem, make_failed_item(task.key, unexpected))
        raise unexpected from error


def _write_failure_record(target: ObjectStore, stem: str, item: GameItem) -> None:
    """Write the failure record of an archive, beside the path of its `.pt` file.

    An existing `.pt` file of an earlier version of the archive is not removed, since extraction is
    expensive; the manifest stage reads the failure record first.
    """
    target.replace(stem + ERROR_SUFFIX, canonical_json(item.model_dump(mode="json")) + b"\n")


class _ArchiveExtractor:
    """Extracts one archive."""

    def __init__(
        self,
        task: ExtractionTask,
        source: ObjectStore,
        target: ObjectStore,
        settings: ExtractionSettings,
    ) -> None:
        self._task = task
        self._source = source
        self._target = target
        self._settings = settings
        self._seconds = dict.fromkeys(("fetch_s", "decode_s", "write_s"), 0.0)
        self._frames = 0
        self._requests = 0

    def extract(self) -> ExtractionResult:
        """Extract all samples of the archive."""
        ranges = self._open_archive()
        try:
            return self._extract_archive(ranges)
        finally:
            ranges.close()

    def _open_archive(self) -> ByteRanges:
        """Open the archive.

        A refused file of a folder is an error of this archive, with a `reason`. A refused object of
        a bucket may be an error of the credentials, and so of all archives.
        """
        try:
            return open_byte_ranges(self._source, self._task.key)
        except NotPermitted as error:
            if self._source.url.startswith("s3:"):
                raise
            raise ArchiveNotPermitted(
                error.message, got=error.got, hint="Check its owner and mode"
            ) from error

    def _extract_archive(self, ranges: ByteRanges) -> ExtractionResult:
        max_bytes = self._settings.max_archive_mb << 20
        if ranges.size > max_bytes:
            raise Invalid(
                "the archive is too large",
                expected=f"at most {max_bytes:,} bytes",
                got=f"{ranges.size:,}",
                hint="Raise the limit: --set extraction.max_archive_mb=…",
                reason="archive_too_large",
            )
        with self._measure_s("fetch_s"):
            samples = group_samples(members(ranges), strict=self._settings.strict)
        if len(samples) == 1 and samples[0].name is None:
            item, is_reused = self._extract_sample(ranges, samples[0])
            return self._result([item], int(is_reused), ranges)
        ordered = sorted(samples, key=lambda one: self._stem_and_video_id(one)[0])
        outcomes = [self._extract_or_fail(ranges, one) for one in ordered]
        reused = sum(is_reused for _, is_reused in outcomes)
        return self._result([item for item, _ in outcomes], reused, ranges)

    def _extract_or_fail(self, ranges: ByteRanges, source: ArchiveSample) -> tuple[GameItem, bool]:
        """Extract one sample of several; an error of the sample becomes its failure record.

        Returns (item, is reused).
        """
        try:
            return self._extract_sample(ranges, source)
        except (Unavailable, NotPermitted):
            raise
        except FilmgateError as error:
            stem, video_id = self._stem_and_video_id(source)
            item = make_failed_item(self._task.key, error, video_id)
            _write_failure_record(self._target, stem, item)
            return item, False

    def _stem_and_video_id(self, source: ArchiveSample) -> tuple[str, str]:
        """Return the key of a sample's `.pt` file without its suffix, and the video id."""
        stem = self._task.stem
        if source.name is None:
            return stem, _last_part(stem)
        return f"{stem}/{source.name}", f"{_last_part(stem)}/{source.name}"

    def _result(self, items: list[GameItem], reused: int, ranges: ByteRanges) -> ExtractionResult:
        costs = ExtractionCosts(
            archive_bytes=0 if reused == len(items) else ranges.size,
            frames=self._frames,
            requests=self._requests + ranges.request_count,
            **self._seconds,
        )
        return ExtractionResult(tuple(items), reused, costs)

    def _find_existing(
        self, stem: str, source: ArchiveSample, metadata_bytes: bytes
    ) -> GameItem | None:
        """Find an existing extraction of the same sample with the same settings, or None.

        A sample is the same if the sizes of its members and its metadata are equal. A local `.pt`
        file is verified completely against its seal; a remote one is verified only in the parts
        that are read.
        """
        if not self._settings.skip_existing:
            return None
        try:
            file = PtFile(open_byte_ranges(self._target, stem + PT_SUFFIX))
            extracted = ExtractedFile(file)
            if self._target.path(stem + PT_SUFFIX) is not None:
                file.check_all()
        except (Unavailable, NotPermitted):
            raise
        except FilmgateError:
            return None
        is_same = (
            extracted.s3_key == self._task.key
            and extracted.facts == {**self._settings.facts, **_tool_versions()}
            and extracted.input["sizes"] == {member.name: member.size for member in source.members}
            and extracted.input["members"][source.metadata.name] == digest(metadata_bytes)
        )
        if not is_same:
            return None
        self._target.remove(stem + ERROR_SUFFIX)
        return _existing_item(stem, extracted)

    def _extract_sample(self, ranges: ByteRanges, source: ArchiveSample) -> tuple[GameItem, bool]:
        """Extract a sample and write its `.pt` file, or reuse an existing one.

        Returns (item, is reused).
        """
        stem, video_id = self._stem_and_video_id(source)
        with self._measure_s("fetch_s"):
            metadata_bytes = read_member(ranges, source.metadata, most=MAX_METADATA_BYTES)
            if (existing := self._find_existing(stem, source, metadata_bytes)) is not None:
                return existing, True
            session_metadata = _parse_metadata(metadata_bytes)
            input_bytes = (
                read_member(ranges, source.inputs, most=MAX_INPUTS_BYTES) if source.inputs else b""
            )
            fetched, digests = self._fetch_video(ranges, source)
        with fetched as file, self._measure_s("decode_s"):
            video = sample(partial(_open_video, file, source.video), self._settings.sampling)
        log = input_log.parse_inputs(input_bytes)
        remarks = tuple(_remarks(video, log, has_log=source.inputs is not None))
        if self._settings.strict:
            _check_strict(remarks)
        origin = FileOrigin(
            s3_key=self._task.key,
            video_id=video_id,
            sizes={member.name: member.size for member in source.members},
            members=digests,
            digest=digest_of(dict(sorted(digests.items()))),
        )
        with self._measure_s("write_s"):
            facts = {**self._settings.facts, **_tool_versions()}
            value = build_value(origin, video, session_metadata, log, facts, remarks)
            out = BytesIO()
            pt_digest = write_pt(out, value, compress=self._settings.compress)
            self._target.replace(stem + PT_SUFFIX, out.getvalue())
            self._target.remove(stem + ERROR_SUFFIX)
            self._requests += 1
        self._frames += sum(len(series.frames) for series in video.series.values())
        item = GameItem(
            s3_key=self._task.key,
            status="extracted",
            video_id=video_id,
            pt_key=stem + PT_SUFFIX,
            pt_digest=pt_digest,
            input_digest=origin.digest,
            remarks=remarks,
        )
        return item, False

    def _fetch_video(
        self, ranges: ByteRanges, source: ArchiveSample
    ) -> tuple[IO[bytes] | ByteRangesFile, dict[str, str]]:
        """Read all members of a sample; return the video as a file, and the members' digests.

        The video of a remote archive is copied to an unnamed temporary file.
        """
        digests = {}
        is_local = self._source.path(self._task.key) is not None
        window = ByteRangesFile(ranges, source.video.start, source.video.size)
        copy = None if is_local else TemporaryFile()  # noqa: SIM115 - the caller closes it
        for member in source.members:
            hashed = hashlib.sha256()
            for start in range(0, member.size, CHUNK_BYTES):
                size = min(CHUNK_BYTES, member.size - start)
                chunk = ranges.read(member.start + start, size)
                hashed.update(chunk)
                if member is source.video and copy is not None:
                    copy.write(chunk)
            digests[member.name] = f"sha256:{hashed.hexdigest()}"
        return copy or window, digests

    @contextmanager
    def _measure_s(self, name: str) -> Iterator[None]:
        started_s = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] += time.monotonic() - started_s


def _open_video(
    file: IO[bytes] | ByteRangesFile, video: Member
) -> "AbstractContextManager[InputContainer]":
    file.seek(0)
    return open_embedded_media(file, video.name, video.size)


def _last_part(stem: str) -> str:
    return stem.rpartition("/")[2]


def _tool_versions() -> dict[str, str]:
    return {"av": metadata.version("av")}


def _parse_metadata(data: bytes) -> Mapping[str, JsonValue]:
    try:
        parsed = _require_object(json.loads(data.decode("utf-8-sig")))
        canonical_json(parsed)  # rejects infinite numbers and lone surrogates
        dump_pickle(parsed, lambda _: None)
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid(
            "the metadata is not a JSON object",
            expected="a JSON object in UTF-8",
            got=str(error)[:200] or type(error).__name__,
            reason="metadata_not_json",
        ) from error
    return parsed


def _require_object(value: JsonValue) -> dict[str, JsonValue]:
    if isinstance(value, dict):
        return value
    raise TypeError(f"a {type(value).__name__}")


def _existing_item(stem: str, extracted: ExtractedFile) -> GameItem:
    """Make the record of an existing extraction."""
    return GameItem(
        s3_key=extracted.s3_key,
        status="extracted",
        video_id=extracted.video_id,
        pt_key=stem + PT_SUFFIX,
        pt_digest=extracted.digest,
        input_digest=extracted.input["digest"],
        remarks=extracted.remarks,
    )


def _remarks(video: SampledVideo, log: input_log.InputLog, *, has_log: bool) -> Iterator[str]:
    """Yield a code for each unusual property of a recording; none of them prevents sampling."""
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
    """Raise Invalid if a session recorder would not make such a recording."""
    for reason, expected in ((VARIABLE_RATE, "a constant rate"), (ROTATED, "upright pictures")):
        if reason in remarks:
            raise Invalid(
                "the video is not a recording of a session",
                expected=expected,
                got=reason.replace("_", " "),
                hint="Accept it by switching off extraction.strict",
                reason=reason,
            )
