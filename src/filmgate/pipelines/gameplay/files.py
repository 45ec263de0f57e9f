"""The artifact files of a gameplay run, with the contract of each."""

from filmgate.core.files import parquet, records
from filmgate.pipelines.gameplay.contracts import GameItem

ITEMS = records("items.jsonl", GameItem, schema="gameplay.item", counted_as="items")

ORIGINAL_COLUMNS = {
    "s3_key": "string",
    "video_id": "string",
    "video_metadata": "string",
    "session_metadata": "string",
    "is_video_mostly_dark": "bool",
    "is_dpi_scale_issue": "bool",
    "video_menu_percent": "double",
    "menu_flag_threshold": "double",
    "is_video_mostly_menu": "bool",
    "error": "string",
    "error_traceback": "string",
    "processed_time": "timestamp[us, tz=UTC]",
    "commit_hash": "string",
}
"""Arrow type of the columns of the public pipeline's manifest, by name, in its order."""

ADDED_COLUMNS = {
    "error_code": "string",
    "remarks": "list<item: string>",
    "pt_digest": "string",
    "check_versions": "string",
}
"""Arrow type of the columns that Filmgate adds, before those of the Filmgate checks, by name."""

QUALITY = parquet("quality_manifest.parquet", schema="gameplay.quality", columns=ORIGINAL_COLUMNS)
