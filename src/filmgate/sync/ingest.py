"""Ingest: a run's manifest and its artifact files, verified byte by byte, into a result store."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError, create_model

from filmgate.core.answers import Receipt
from filmgate.core.digest import canonical_json, sha256_hex
from filmgate.core.envelope import ArtifactLine
from filmgate.core.errors import Held, Invalid, SchemaNotFoundError, first_fault, json_pointer
from filmgate.core.gates import ReasonCode
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Producer
from filmgate.core.ports import RunDirectory, RunFiles
from filmgate.core.publishing import MANIFEST, Origin
from filmgate.core.records import ArtifactRef
from filmgate.core.result_store import ArtifactRow, ArtifactRows, ResultStore
from filmgate.core.screentime import SCREENTIME
from filmgate.core.states import RunState
from filmgate.sync.corpus import corpus_refs, read_corpus
from filmgate.sync.reading import broken_file, check_file, missing_file, read_screentime

Told = Callable[[float, float], None]
"""Hears how many records are in, and of how many."""

TELL_EVERY = 5000
LONGEST_LINE_BYTES = 16 << 20
"""Of a record; a longer one is read in pieces, none of which is one."""


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
    data = run.bytes_of(manifest)
    origin = Origin(source=run.folder.absolute().as_uri(), manifest_key=MANIFEST)
    return take_in(manifest, sha256_hex(data), origin, run, results, registry, told)


def take_in(
    manifest: Manifest,
    manifest_sha256: str,
    origin: Origin,
    run: RunFiles,
    results: ResultStore,
    registry: Registry,
    told: Told = nobody,
) -> Receipt:
    """Take in a run that has ended, from wherever its files lie: the one way in.

    Raises Invalid where a file is not what the manifest says (nothing is written then), and
    whatever the result store raises.
    """
    files: Iterator[ArtifactRows] = iter(())
    screentime = corpus = None
    if manifest.status is RunState.SUCCESS:
        screentime = read_screentime(run, manifest)
        corpus = read_corpus(run, manifest)
        read = [manifest.the_file_of(SCREENTIME), *corpus_refs(manifest).values()]
        for _, _, ref in manifest.artifact_refs:
            if ref.artifact_type is None and ref not in read:
                check_file(run, ref)
        files = _artifact_files(run, manifest, registry, told)
    return results.ingest(manifest, manifest_sha256, origin, files, screentime, corpus)


def _artifact_files(
    run: RunFiles, manifest: Manifest, registry: Registry, told: Told
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


def verified_rows(run: RunFiles, ref: ArtifactRef, registry: Registry) -> Iterator[ArtifactRow]:
    """The records of a file, each held against its contract; at the end, the digest as well.

    Raises Invalid: the caller must not keep what came before.
    """
    read = _reader(_model(registry, ref))
    digest, count = hashlib.sha256(), 0
    try:
        with run.open(ref.path) as file:
            for raw in iter(partial(file.readline, LONGEST_LINE_BYTES), b""):
                digest.update(raw)
                line = read(raw)
                if line.ordinal != count:
                    raise broken_file(
                        ref,
                        ReasonCode.SCHEMA_INVALID,
                        f"ordinal {count}",
                        f"ordinal {line.ordinal}",
                    )
                yield ArtifactRow(
                    count, line.span_start_ms, line.span_end_ms, _payload_of(raw, line)
                )
                count += 1
    except FileNotFoundError as error:
        raise missing_file(ref) from error
    except ValidationError as error:
        raise broken_file(
            ref,
            ReasonCode.SCHEMA_INVALID,
            f"records of {ref.schema_name}",
            f"line {count}: {first_fault(error)}",
            json_pointer=json_pointer(error),
        ) from error
    if digest.hexdigest() != ref.sha256 or count != ref.records:
        is_other = digest.hexdigest() != ref.sha256
        raise broken_file(
            ref,
            ReasonCode.DIGEST_MISMATCH if is_other else ReasonCode.COUNT_MISMATCH,
            f"{ref.records} records, sha256 {ref.sha256}",
            f"{count} records, sha256 {digest.hexdigest()}",
        )


def _model(registry: Registry, ref: ArtifactRef) -> type[Payload]:
    try:
        return registry.model(ref.schema_name, ref.schema_version)
    except SchemaNotFoundError as error:
        error.extra |= {
            "reason": ReasonCode.SCHEMA_VERSION_UNSUPPORTED.value,
            "artifact_key": ref.key,
            "found": ref.schema_version,
        }
        raise


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
