"""Ingest: a run's manifest and its artifact files, verified byte by byte, into a result store."""

import hashlib
from collections.abc import Iterator

from pydantic import ValidationError

from filmgate.core.answers import Receipt
from filmgate.core.digest import sha256_hex
from filmgate.core.envelope import ArtifactLine
from filmgate.core.errors import Held, Invalid, first_fault
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Producer
from filmgate.core.ports import ArtifactRows, ResultStore, RunDirectory
from filmgate.core.records import ArtifactRef
from filmgate.core.states import RunState


def ingest_run(run: RunDirectory, results: ResultStore, registry: Registry) -> Receipt:
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
    if manifest.status is RunState.SUCCESS:
        _check_other_files(run, manifest)
        files = _artifact_files(run, manifest, registry)
    return results.ingest(manifest, sha256_hex(manifest.to_bytes()), files)


def _check_other_files(run: RunDirectory, manifest: Manifest) -> None:
    """Hold the files that are not taken in, only stood on, against the manifest."""
    for _, _, ref in manifest.artifact_refs:
        if ref.artifact_type is None:
            facts = run.facts(ref.path)
            if facts is None or facts.sha256 != ref.sha256:
                got = f"sha256 {facts.sha256}" if facts else "no file"
                raise _broken(ref, f"sha256 {ref.sha256}", got)


def _artifact_files(
    run: RunDirectory, manifest: Manifest, registry: Registry
) -> Iterator[ArtifactRows]:
    for _, entry, ref in manifest.artifact_refs:
        if ref.artifact_type is not None:
            assert entry.ended is not None
            yield ArtifactRows(
                ref=ref,
                artifact_type=ref.artifact_type,
                producer=entry.producer or Producer(name="unknown", version="unknown"),
                created_at=entry.ended,
                lines=verified_lines(run, ref, registry),
            )


def verified_lines(
    run: RunDirectory, ref: ArtifactRef, registry: Registry
) -> Iterator[ArtifactLine]:
    """The records of a file, each held against its contract; at the end, the digest as well.

    Raises Invalid: the caller must not keep what came before.
    """
    model = registry.model(ref.schema_name, ref.schema_version)
    digest, count = hashlib.sha256(), 0
    try:
        with run.open(ref.path) as file:
            for raw in file:
                digest.update(raw)
                line = ArtifactLine.model_validate_json(raw)
                model.model_validate(line.payload)
                if line.ordinal != count:
                    raise _broken(ref, f"ordinal {count}", f"ordinal {line.ordinal}")
                yield line
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


def _broken(ref: ArtifactRef, expected: str, got: str) -> Invalid:
    return Invalid(
        f"{ref.path} is not what the manifest says",
        expected=expected,
        got=got,
        hint="Nothing was ingested. Restore the file, or run again with --repair",
        path=ref.path,
    )
