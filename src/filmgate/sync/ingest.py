"""Ingest: a run's manifest and its artifact files, verified byte by byte, into a result store."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError, create_model

from filmgate.core.answers import Receipt
from filmgate.core.digest import canonical_json, sha256_hex
from filmgate.core.envelope import ArtifactLine
from filmgate.core.errors import Held, Invalid, first_fault
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Producer
from filmgate.core.ports import ArtifactRow, ArtifactRows, ResultStore, RunDirectory
from filmgate.core.records import ArtifactRef
from filmgate.core.screentime import SCREENTIME, ScreenTime
from filmgate.core.states import RunState

Told = Callable[[float, float], None]
"""Hears how many records are in, and of how many."""

TELL_EVERY = 5000


def nobody(_done: float, _total: float) -> None:
    """Listens to no progress."""


def ingest_run(
    run: RunDirectory,
    results: ResultStore,
    registry: Registry,
    told: Told = nobody,
) -> Receipt:
    """Take in a run as its records tell it now; artifacts only where the run is a success.

    Raises Invalid where a file is not what the manifest says (nothing is written then), and
    whatever the result store raises.
    """
    manifest = run.refold(None)
    if manifest.status is RunState.RUNNING:
        raise Held(
            f"run {manifest.run_id} is not ready to be ingested",
            expected="a run that has ended",
            got="one that is worked on",
            hint="Wait for its end; it is ingested then",
        )
    if manifest.is_blocked:
        raise Invalid(
            f"run {manifest.run_id} is not ready to be ingested",
            expected="a run with no gate closed",
            got="a closed gate",
            hint=f"See `filmgate status {run.folder}`",
        )
    files: Iterator[ArtifactRows] = iter(())
    screentime = None
    if manifest.status is RunState.SUCCESS:
        _check_other_files(run, manifest)
        files = _artifact_files(run, manifest, registry, told)
        screentime = _screentime(run, manifest)
    return results.ingest(manifest, sha256_hex(manifest.to_bytes()), files, screentime)


def _screentime(run: RunDirectory, manifest: Manifest) -> ScreenTime | None:
    """Everybody's screen time, where the run measured it; its digest was held just before."""
    for _, _, ref in manifest.artifact_refs:
        if ref.schema_name == SCREENTIME:
            with run.open(ref.path) as file:
                data = file.read()
            if sha256_hex(data) != ref.sha256:
                raise _broken(ref, f"sha256 {ref.sha256}", f"sha256 {sha256_hex(data)}")
            try:
                return ScreenTime.model_validate_json(data)
            except ValidationError as error:
                raise _broken(ref, f"{SCREENTIME} version 1", first_fault(error)) from error
    return None


def _check_other_files(run: RunDirectory, manifest: Manifest) -> None:
    """Hold the files that are not taken in, only stood on, against the manifest."""
    for _, _, ref in manifest.artifact_refs:
        if ref.artifact_type is None:
            facts = run.facts(ref.path)
            if facts is None or facts.sha256 != ref.sha256:
                got = f"sha256 {facts.sha256}" if facts else "no file"
                raise _broken(ref, f"sha256 {ref.sha256}", got)


def _artifact_files(
    run: RunDirectory, manifest: Manifest, registry: Registry, told: Told
) -> Iterator[ArtifactRows]:
    taken = [each for each in manifest.artifact_refs if each[2].artifact_type is not None]
    total, before = sum(ref.records for _, _, ref in taken), 0
    for stage, entry, ref in taken:
        rows = verified_rows(run, ref, registry)
        yield _file(stage, entry, ref, _counted(rows, partial(_tell, told, before, total)))
        before += ref.records


def _file(
    stage: str, entry: StageEntry, ref: ArtifactRef, rows: Iterator[ArtifactRow]
) -> ArtifactRows:
    assert entry.ended is not None
    assert ref.artifact_type is not None
    return ArtifactRows(
        stage=stage,
        ref=ref,
        artifact_type=ref.artifact_type,
        producer=entry.producer or Producer(name="unknown", version="unknown"),
        created_at=entry.ended,
        rows=rows,
    )


def _tell(told: Told, before: int, total: int, count: int) -> None:
    told(before + count, total)


def _counted(rows: Iterator[ArtifactRow], told: Callable[[int], None]) -> Iterator[ArtifactRow]:
    for row in rows:
        yield row
        if row.ordinal % TELL_EVERY == TELL_EVERY - 1:
            told(row.ordinal + 1)


def verified_rows(run: RunDirectory, ref: ArtifactRef, registry: Registry) -> Iterator[ArtifactRow]:
    """The records of a file, each held against its contract; at the end, the digest as well.

    Raises Invalid: the caller must not keep what came before.
    """
    read = _reader(registry.model(ref.schema_name, ref.schema_version))
    digest, count = hashlib.sha256(), 0
    try:
        with run.open(ref.path) as file:
            for raw in file:
                digest.update(raw)
                line = read(raw)
                if line.ordinal != count:
                    raise _broken(ref, f"ordinal {count}", f"ordinal {line.ordinal}")
                yield ArtifactRow(
                    count, line.span_start_ms, line.span_end_ms, _payload_of(raw, line)
                )
                count += 1
    except FileNotFoundError as error:
        raise _broken(ref, f"a file, sha256 {ref.sha256}", "no file") from error
    except ValidationError as error:
        raise _broken(
            ref, f"records of {ref.schema_name}", f"line {count}: {first_fault(error)}"
        ) from error
    if digest.hexdigest() != ref.sha256 or count != ref.records:
        raise _broken(
            ref,
            f"{ref.records} records, sha256 {ref.sha256}",
            f"{count} records, sha256 {digest.hexdigest()}",
        )


def _reader(model: type[Payload]) -> Callable[[bytes], Any]:
    """Reads a line with its payload in one go, some times quicker than one after the other."""
    line = create_model("Line", __base__=ArtifactLine, payload=(model, ...))
    return TypeAdapter(line).validator.validate_json


def _payload_of(raw: bytes, line: Any) -> bytes:
    """The payload as JSON text: cut out of a canonical line, else written anew."""
    start = b'{"ordinal":%d,"payload":' % line.ordinal
    end = b',"span_end_ms":%d,"span_start_ms":%d}\n' % (line.span_end_ms, line.span_start_ms)
    if raw.startswith(start) and raw.endswith(end):
        return raw[len(start) : -len(end)]
    return canonical_json(line.payload.model_dump(mode="json"))


def _broken(ref: ArtifactRef, expected: str, got: str) -> Invalid:
    return Invalid(
        f"{ref.path} is not what the manifest says",
        expected=expected,
        got=got,
        hint="Nothing was ingested. Restore the file, or run again with --repair",
        path=ref.path,
    )
