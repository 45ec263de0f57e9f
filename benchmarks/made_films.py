"""Films that were never shot: runs with artifacts like those of real ones, for benchmarks."""

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
COMMON = "gate"
"""In every eighth text."""
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("", "ne", "rd", "st", "x")]
ME = Producer(name="bench", version="1")
MOMENT = "2026-01-02T03:04:05+00:00"


def text(random_: random.Random) -> str:
    """A sentence, with common words more often than rare ones."""
    words = [WORDS[int(len(WORDS) * random_.random() ** 2)] for _ in range(9)]
    return " ".join([*words, COMMON] if random_.random() < 1 / 8 else words)


def payload(kind: str, number: int, random_: random.Random) -> dict[str, Any]:
    """One of a type."""
    sure = round(random_.random(), 3)
    box = {name: round(random_.random() * 600, 1) for name in ("x", "y", "width", "height")}
    match kind:
        case "scene":
            return {"scene_index": number, "method": "cut", "score": sure, "frame_number": number}
        case "transcript.segment":
            return {"text": text(random_), "speaker": None, "confidence": sure, "language": "en"}
        case "ocr.text":
            corners = [[box["x"], box["y"]], [box["x"], 9.0], [9.0, 9.0], [9.0, box["y"]]]
            told = {"text": text(random_), "language": "en", "frame_number": number}
            return told | {"confidence": sure, "bounding_box": corners}
        case "place.classification":
            told = {"alternative_labels": [], "frame_number": number}
            return told | {"label": random_.choice(WORDS[:40]), "confidence": sure}
        case "object.detection":
            told = {"label": random_.choice(WORDS[:40]), "frame_number": number}
            return told | {"confidence": sure, "bounding_box": box}
        case _:
            told = {"cluster_id": f"p{random_.randrange(12)}", "frame_number": number}
            return told | {"confidence": sure, "bounding_box": box}


class Prepared:
    """The port `RunDirectory` as far as an ingest needs it: a manifest and its files."""

    def __init__(self, folder: Path, run_id: str, count: int, seed: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        random_ = random.Random(seed)
        refs = [self._write(kind, int(count * share), random_) for kind, share in SHARES.items()]
        config = {"make": {"seed": seed}}
        entry = {
            "status": StageState.SUCCESS,
            "attempt": 1,
            "ended": MOMENT,
            "artifacts": refs,
            "producer": ME,
            "is_derived": False,
            "derived_from": "commits/make.a1.json",
        }
        self.bytes_of = Manifest.to_bytes
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
            created_at=datetime.fromisoformat(MOMENT),
            updated_at=datetime.fromisoformat(MOMENT) + timedelta(minutes=seed),
            stages={"make": StageEntry.model_validate(entry)},
            metrics={},
        )

    def _write(self, kind: str, count: int, random_: random.Random) -> ArtifactRef:
        path, sha = self.folder / f"{kind}.jsonl", hashlib.sha256()
        with path.open("wb") as file:
            for number in range(count):
                start = number * 40
                line = {
                    "ordinal": number,
                    "payload": payload(kind, number, random_),
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

    def refold(self, _lease: None) -> Manifest:
        """As it is."""
        return self.manifest

    def open(self, path: str) -> IO[bytes]:
        """A file."""
        return (self.folder / path).open("rb")

    def facts(self, _path: str) -> FileFacts | None:
        """Nothing asks."""
        raise NotImplementedError
