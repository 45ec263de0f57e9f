"""Ingest a run: write its manifest and its verified artifact files to a result store."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

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
from filmgate.core.progress import ProgressCallback, ignore_progress
from filmgate.core.publishing import MANIFEST, ManifestLocation
from filmgate.core.records import ArtifactRef
from filmgate.core.result_store import ArtifactRow, ArtifactRows, ResultStore
from filmgate.core.states import RunState
from filmgate.core.summaries import SummariesOf, SummaryRows, no_summaries
from filmgate.sync.verified_files import (
    check_file,
    mismatch_error,
    missing_file_error,
    read_summaries,
)

PROGRESS_INTERVAL = 5000
"""Number of records between two reports of progress."""

LONGEST_LINE_BYTES = 16 << 20
"""Maximum size of a record, in bytes. A longer line is read in parts, which are invalid records."""


def ingest_run(
    run: RunDirectory,
    results: ResultStore,
    registry: Registry,
    on_progress: ProgressCallback = ignore_progress,
    *,
    summaries_of: SummariesOf = no_summaries,
) -> Receipt:
    """Ingest a run in its current state; artifacts only if the run is SUCCESS.

    Raises Held while a runner has the run, Invalid if a gate is closed or a file does not match
    the manifest (nothing is written then), and the errors of the result store.
    """
    manifest = run.fold_manifest(None)
    if manifest.status is RunState.RUNNING:
        raise Held(
            f"run {manifest.run_id} is not ready to be ingested",
            expected="a run that has ended",
            got="a run in state RUNNING",
            hint="Wait until the run ends, then ingest it",
        )
    if manifest.is_blocked:
        raise Invalid(
            f"run {manifest.run_id} is not ready to be ingested",
            expected="a run without a closed gate",
            got="a closed gate",
            hint=f"Run `filmgate status {run.folder}` to see the reasons",
        )
    data = run.manifest_bytes(manifest)
    origin = ManifestLocation(source=run.folder.absolute().as_uri(), manifest_key=MANIFEST)
    return ingest_manifest(
        manifest,
        sha256_hex(data),
        origin,
        run,
        results,
        registry,
        on_progress,
        summaries_of=summaries_of,
    )


def ingest_manifest(
    manifest: Manifest,
    manifest_sha256: str,
    origin: ManifestLocation,
    run: RunFiles,
    results: ResultStore,
    registry: Registry,
    on_progress: ProgressCallback = ignore_progress,
    *,
    summaries_of: SummariesOf = no_summaries,
) -> Receipt:
    """Ingest a run that has ended, from a folder or a store. Every ingest uses this function.

    Raises Invalid if a file does not match the manifest (nothing is written then), and the errors
    of the result store.
    """
    files: Iterator[ArtifactRows] = iter(())
    summaries: tuple[SummaryRows, ...] = ()
    if manifest.status is RunState.SUCCESS:
        summaries = read_summaries(run, manifest, summaries_of(manifest.pipeline))
        verified = [ref for summary in summaries for ref in summary.files]
        for _, _, ref in manifest.artifact_refs:
            if ref.artifact_type is None and ref not in verified:
                check_file(run, ref)
        files = _artifact_files(run, manifest, registry, on_progress)
    return results.ingest(manifest, manifest_sha256, origin, files, summaries)


def _artifact_files(
    run: RunFiles, manifest: Manifest, registry: Registry, on_progress: ProgressCallback
) -> Iterator[ArtifactRows]:
    typed = [file for file in manifest.artifact_refs if file[2].artifact_type is not None]
    total, before = sum(ref.records for _, _, ref in typed), 0
    for stage, entry, ref in typed:
        rows = verified_rows(run, ref, registry)
        rows = _with_progress(rows, on_progress, before, total)
        yield _artifact_file(stage, entry, ref, rows)
        before += ref.records


def _artifact_file(
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


def _with_progress(
    rows: Iterator[ArtifactRow], on_progress: ProgressCallback, before: int, total: int
) -> Iterator[ArtifactRow]:
    for row in rows:
        yield row
        if row.ordinal % PROGRESS_INTERVAL == PROGRESS_INTERVAL - 1:
            on_progress(before + row.ordinal + 1, total)


def verified_rows(run: RunFiles, ref: ArtifactRef, registry: Registry) -> Iterator[ArtifactRow]:
    """Yield the records of a file, each verified against its contract.

    At the end, the digest and the number of records are verified. If anything does not match, this
    raises Invalid; the caller must then discard all rows that it has received.
    """
    parse_line = _make_line_parser(_payload_model(registry, ref))
    digest, count = hashlib.sha256(), 0
    try:
        with run.open(ref.path) as file:
            for raw in iter(partial(file.readline, LONGEST_LINE_BYTES), b""):
                digest.update(raw)
                line = parse_line(raw)
                if line.ordinal != count:
                    raise mismatch_error(
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
        raise missing_file_error(ref) from error
    except ValidationError as error:
        raise mismatch_error(
            ref,
            ReasonCode.SCHEMA_INVALID,
            f"records of {ref.schema_name}",
            f"line {count}: {first_fault(error)}",
            json_pointer=json_pointer(error),
        ) from error
    if digest.hexdigest() != ref.sha256 or count != ref.records:
        has_other_bytes = digest.hexdigest() != ref.sha256
        raise mismatch_error(
            ref,
            ReasonCode.DIGEST_MISMATCH if has_other_bytes else ReasonCode.COUNT_MISMATCH,
            f"{ref.records} records, sha256 {ref.sha256}",
            f"{count} records, sha256 {digest.hexdigest()}",
        )


def _payload_model(registry: Registry, ref: ArtifactRef) -> type[Payload]:
    try:
        return registry.model(ref.schema_name, ref.schema_version)
    except SchemaNotFoundError as error:
        error.extra |= {
            "reason": ReasonCode.SCHEMA_VERSION_UNSUPPORTED.value,
            "artifact_key": ref.key,
            "found": ref.schema_version,
        }
        raise


class _ParsedLine(Protocol):
    """A line of an artifact file, with its payload as a model."""

    ordinal: int
    span_start_ms: int
    span_end_ms: int
    payload: Payload


def _make_line_parser(model: type[Payload]) -> Callable[[bytes], _ParsedLine]:
    """Return a function that parses a line together with its payload.

    This is several times faster than parsing first the line, then the payload.
    """
    line = create_model("Line", __base__=ArtifactLine, payload=(model, ...))
    return TypeAdapter(line).validator.validate_json


def _payload_of(raw: bytes, line: _ParsedLine) -> bytes:
    """Return the payload as JSON text: a slice of a canonical line, else serialised again."""
    start = b'{"ordinal":%d,"payload":' % line.ordinal
    end = b',"span_end_ms":%d,"span_start_ms":%d}\n' % (line.span_end_ms, line.span_start_ms)
    if raw.startswith(start) and raw.endswith(end):
        return raw[len(start) : -len(end)]
    return canonical_json(line.payload.model_dump(mode="json"))
