"""Names of assets and runs: what is a good one, and how a run gets its own."""

import re
from datetime import datetime
from enum import StrEnum
from typing import NewType
from unicodedata import combining, normalize
from zoneinfo import ZoneInfo

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid

AssetId = NewType("AssetId", str)
RunId = NewType("RunId", str)
StageName = NewType("StageName", str)


class Layout(StrEnum):
    """How the runs of a pipeline are kept, and spoken of."""

    RUN = "run"
    """`manifests/{asset_id}/runs/{run_id}`: runs of an asset, with stages."""
    JOB = "job"
    """`artifacts/ingest/{env}/{job_id}`: jobs over a collection, with passes."""


ENV_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
"""What kinds of work are called: `dev`, `prod`."""

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
"""What an asset id or a run id may look like: safe as a folder, a key and a word in a URL."""

ID_RULE = "1 to 128 letters, digits, dots, underscores or hyphens, the first a letter or a digit"
ATTEMPT_ZONE = ZoneInfo("America/New_York")

_ID = ID_PATTERN + r"\Z"
_UUID = r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"
_ATTEMPT = r"Attempt(\d+)_\d{4}-\d{2}-\d{2}_\d{6}_EST"


def parse_asset_id(text: str) -> AssetId:
    """Take a given asset id, or raise Invalid saying what one may look like."""
    if not re.match(_ID, text):
        raise Invalid("this is no asset id", expected=ID_RULE, got=repr(text))
    return AssetId(text)


def parse_env(text: str) -> str:
    """Take the name of an environment, or raise Invalid saying what one may look like."""
    if not re.match(ENV_PATTERN + r"\Z", text):
        raise Invalid(
            "this is no environment",
            expected="1 to 32 small letters, digits or hyphens, such as dev or prod",
            got=repr(text),
        )
    return text


def asset_id_from_name(file_name: str) -> AssetId:
    """The asset id that a file's name suggests: its stem, accents off, else `-` for the rest.

    Where letters are lost on the way (another script), eight digits of the name's digest keep
    two films apart.
    """
    stem = file_name.rsplit(".", 1)[0] or file_name
    spelled = "".join(c for c in normalize("NFKD", stem) if not combining(c))
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", spelled).strip("-._")[:100]
    if any(c.isalnum() and not c.isascii() for c in spelled) or not cleaned:
        name = file_name.encode("utf-8", "surrogateescape")
        cleaned = f"{cleaned or 'asset'}-{sha256_hex(name)[:8]}"
    return parse_asset_id(cleaned)


def parse_run_id(text: str) -> RunId:
    """Take a given run id; a UUID in any of its spellings becomes 32 lower-case hex digits."""
    if re.fullmatch(_UUID, text):
        return RunId(text.replace("-", "").lower())
    if not re.match(_ID, text):
        raise Invalid("this is no run id", expected=f"a UUID, or {ID_RULE}", got=repr(text))
    return RunId(text)


def attempt_run_id(number: int, moment: datetime) -> RunId:
    """`AttemptN_YYYY-MM-DD_HHMMSS_EST`: the asset's N-th run, begun at `moment` (aware).

    The letters are fixed; the time is that of America/New_York, summer or winter.
    """
    local = moment.astimezone(ATTEMPT_ZONE)
    return RunId(f"Attempt{number}_{local:%Y-%m-%d_%H%M%S}_EST")


def attempt_number(run_id: str) -> int | None:
    """N of an attempt id; None for any other run id."""
    found = re.fullmatch(_ATTEMPT, run_id)
    return int(found.group(1)) if found else None
