"""The files of a gameplay run, and their contracts."""

from filmgate.core.files import parquet, records
from filmgate.core.gameplay import GameItem

ITEMS = records("items.jsonl", GameItem, schema="gameplay.item", counted_as="items")

ORIGINAL = {
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
"""The columns of the public pipeline's manifest, in its order."""

OURS = {
    "error_code": "string",
    "remarks": "list<item: string>",
    "pt_digest": "string",
    "check_versions": "string",
}
"""What the table has besides, before the checks that the public pipeline has not."""

QUALITY = parquet("quality_manifest.parquet", schema="gameplay.quality", columns=ORIGINAL)
