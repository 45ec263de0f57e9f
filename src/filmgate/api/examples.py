"""Example responses for the OpenAPI description; a test validates them against their models."""

from filmgate.core.digest import JsonDict
from filmgate.wiring import pipelines

FIRST = pipelines.names()[0]
RUN = "Attempt1_2026-11-21_002541_EST"
DIGEST = "sha256:9f2c1de4a07b53e86c4f2a90b1d37e58c6a4f0e2d9b8a7c6e5f4d3c2b1a09876"

SCENE: JsonDict = {
    "artifact_id": f"gatecheck-s01e01:{RUN}:scene:3",
    "asset_id": "gatecheck-s01e01",
    "artifact_type": "scene",
    "schema_version": 1,
    "span_start_ms": 14000,
    "span_end_ms": 17000,
    "payload": {"scene_index": 3, "method": "cut", "score": 62.817, "frame_number": 350},
    "producer": "filmgate-cuts",
    "producer_version": "1",
    "model_profile": "balanced",
    "config_hash": DIGEST,
    "input_hash": DIGEST,
    "run_id": RUN,
    "created_at": "2026-11-21T05:25:43.120000Z",
}
SEGMENT: JsonDict = {
    **SCENE,
    "artifact_id": f"gatecheck-s01e01:{RUN}:transcript.segment:2",
    "artifact_type": "transcript.segment",
    "span_start_ms": 9500,
    "span_end_ms": 13000,
    "payload": {
        "text": "The rocket waits on its pad.",
        "speaker": None,
        "confidence": None,
        "language": "en",
    },
    "producer": "subtitles",
}
JOB: JsonDict = {
    "job_id": 17,
    "run_id": RUN,
    "asset_id": "gatecheck-s01e01",
    "pipeline": FIRST,
    "state": "queued",
    "priority": 0,
    "tries": 0,
    "submitted_by": "lisa",
    "submitted_at": "2026-11-21T05:25:41.301000Z",
    "started_at": None,
    "ended_at": None,
    "worker": None,
    "is_cancel_asked": False,
    "outcome": None,
    "request": {"asset_id": "gatecheck-s01e01", "profile": "balanced"},
}
FAILED_JOB: JsonDict = {
    **JOB,
    "state": "failed",
    "tries": 1,
    "started_at": "2026-11-21T05:25:41.510000Z",
    "ended_at": "2026-11-21T05:25:44.020000Z",
    "worker": "studio-2:4711",
    "outcome": {
        "exit_code": 1,
        "run_status": "FAILED",
        "error": {
            "error": "invalid",
            "message": "scenes: the video ends in the middle of a frame",
            "details": {},
            "timestamp": "2026-11-21T05:25:44.011000+00:00",
        },
        "notes": [],
    },
}
SERVED = {"asset_id": "gatecheck-s01e01", "data_source": "artifact"}
EXAMPLES: dict[tuple[str, str], JsonDict] = {
    ("post", "/v1/videos"): {
        "asset_id": "gatecheck-s01e01",
        "input_hash": DIGEST,
        "size_bytes": 1048576,
        "file_name": "gatecheck-s01e01.mp4",
        "media": {"format": "mov,mp4", "video": "h264", "audio": ["aac"], "subtitles": []},
        "is_known": False,
    },
    ("get", "/v1/videos/{asset_id}/jump"): {
        **SERVED,
        "runs": {"scene": RUN},
        "kind": "scene",
        "direction": "next",
        "from_ms": 9000,
        "filters": {},
        "artifact": SCENE,
    },
    ("get", "/v1/videos/{asset_id}/find"): {
        **SERVED,
        "runs": {"transcript.segment": RUN},
        "query": "rocket",
        "source": "transcript",
        "direction": "next",
        "from_ms": None,
        "hits": [
            {
                "artifact": SEGMENT,
                "snippet": "The rocket waits on its pad.",
                "highlights": [[4, 10]],
            }
        ],
        "next_cursor": None,
    },
    ("get", "/v1/videos/{asset_id}/artifacts"): {
        **SERVED,
        "runs": {"scene": RUN},
        "artifacts": [SCENE],
        "next_cursor": None,
    },
    ("post", "/jobs/{pipeline}-run"): JOB,
    ("get", "/jobs/{job_id}"): FAILED_JOB,
    ("get", "/jobs"): {"jobs": [FAILED_JOB], "next_cursor": None},
    ("get", "/v1/session"): {
        "user": "lisa",
        "scope": "operator",
        "way": "token",
        "csrf": None,
        "session_id": None,
    },
}
"""Body of a successful response, by method and path."""

ERROR: JsonDict = {
    "error": "not_found",
    "message": "no scene starts after 99000 ms in gatecheck-s01e01",
    "details": {},
    "timestamp": "2026-11-21T05:26:02.500000+00:00",
}
