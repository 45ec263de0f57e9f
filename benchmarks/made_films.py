"""Runs with synthetic artifacts that resemble those of real films, for benchmarks."""

import hashlib
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from filmgate.core.digest import canonical_json, digest, digest_of
from filmgate.core.gates import FileFacts
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.plan import Producer
from filmgate.core.records import ArtifactRef, Asset
from filmgate.core.states import RunState, StageState

SHARES = {
    "face.detection": 0.40,
    "object.detection": 0.20,
    "transcript.segment": 0.24,
    "ocr.text": 0.10,
    "place.classification": 0.03,
    "scene": 0.03,
}
"""Artifact type → share of a run's artifacts."""
COMMON = "gate"
"""A word in every eighth text."""
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("", "ne", "rd", "st", "x")]
PRODUCER = Producer(name="bench", version="1")
CREATED_AT = "2026-01-02T03:04:05+00:00"


def make_text(rng: random.Random) -> str:
    """Make a sentence in which words at the start of `WORDS` are more frequent than others."""
    words = [WORDS[int(len(WORDS) * rng.random() ** 2)] for _ in range(9)]
    return " ".join([*words, COMMON] if rng.random() < 1 / 8 else words)


def make_payload(kind: str, number: int, rng: random.Random) -> dict[str, Any]:
    """Make a payload of an artifact type."""
    score = round(rng.random(), 3)
    box = {name: round(rng.random() * 600, 1) for name in ("x", "y", "width", "height")}
    match kind:
        case "scene":
            return {"scene_index": number, "method": "cut", "score": score, "frame_number": number}
        case "transcript.segment":
            return {"text": make_text(rng), "speaker": None, "confidence": score, "language": "en"}
        case "ocr.text":
            corners = [[box["x"], box["y"]], [box["x"], 9.0], [9.0, 9.0], [9.0, box["y"]]]
            fields = {"text": make_text(rng), "language": "en", "frame_number": number}
            return fields | {"confidence": score, "bounding_box": corners}
        case "place.classification":
            fields = {"alternative_labels": [], "frame_number": number}
            return fields | {"label": rng.choice(WORDS[:40]), "confidence": score}
        case "object.detection":
            fields = {"label": rng.choice(WORDS[:40]), "frame_number": number}
            return fields | {"confidence": score, "bounding_box": box}
        case _:
            fields = {"cluster_id": f"p{rng.randrange(12)}", "frame_number": number}
            return fields | {"confidence": score, "bounding_box": box}


class SyntheticRun:
    """Implements the part of the port `RunDirectory` that an ingest needs: manifest and files."""

    def __init__(self, folder: Path, run_id: str, count: int, seed: int) -> None:
        """Write about `count` artifacts into a new folder."""
        self.folder = folder
        folder.mkdir(parents=True)
        rng = random.Random(seed)
        refs = [self._write(kind, int(count * share), rng) for kind, share in SHARES.items()]
        config = {"make": {"seed": seed}}
        entry = {
            "status": StageState.SUCCESS,
            "attempt": 1,
            "ended": CREATED_AT,
            "artifacts": refs,
            "producer": PRODUCER,
            "is_derived": False,
            "derived_from": "commits/make.a1.json",
        }
        self.manifest_bytes = Manifest.to_bytes
        self.manifest = Manifest(
            producer="bench",
            pipeline="bench",
            asset=Asset(id="film", input_hash=digest(b""), uri="file:///x", size_bytes=1, media={}),
            source_sha_map={"x": digest(b"")},
            run_id=run_id,
            env="bench",
            profile=("fast", "balanced", "high_quality")[seed % 3],
            config=config,
            config_hash=digest_of(config),
            status=RunState.SUCCESS,
            revision=1,
            created_at=datetime.fromisoformat(CREATED_AT),
            updated_at=datetime.fromisoformat(CREATED_AT) + timedelta(minutes=seed),
            stages={"make": StageEntry.model_validate(entry)},
            metrics={},
        )

    def _write(self, kind: str, count: int, rng: random.Random) -> ArtifactRef:
        path, sha = self.folder / f"{kind}.jsonl", hashlib.sha256()
        with path.open("wb") as file:
            for number in range(count):
                start = number * 40
                line = {
                    "ordinal": number,
                    "payload": make_payload(kind, number, rng),
                    "span_end_ms": start + 40,
                    "span_start_ms": start,
                }
                data = canonical_json(line) + b"\n"
                file.write(data)
                sha.update(data)
        return ArtifactRef(
            key=kind,
            path=path.name,
            sha256=sha.hexdigest(),
            size_bytes=path.stat().st_size,
            media_type="application/x-ndjson",
            schema_name=kind,
            schema_version=1,
            records=count,
            artifact_type=kind,
        )

    def fold_manifest(self, _lease: None) -> Manifest:
        """Return the manifest."""
        return self.manifest

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading."""
        return (self.folder / path).open("rb")

    def facts(self, _path: str) -> FileFacts | None:
        """Not implemented, because an ingest does not call it."""
        raise NotImplementedError
