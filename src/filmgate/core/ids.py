"""Ids of assets and runs: validation and generation."""

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
    """How the runs of a pipeline are stored and named."""

    RUN = "run"
    """`manifests/{asset_id}/runs/{run_id}`: runs of an asset, with stages."""
    JOB = "job"
    """`artifacts/ingest/{env}/{job_id}`: jobs over a collection, with passes."""


ENV_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
"""Pattern of an environment name, such as `dev` or `prod`."""

DEFAULT_SCHEMA = "filmgate"
"""Name of the PostgreSQL schema that contains the tables of an installation."""

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
"""Pattern of an asset id or run id: safe as a folder name, an object key and a URL segment."""

ID_RULE = "1 to 128 letters, digits, dots, underscores or hyphens, the first a letter or a digit"
ATTEMPT_ZONE = ZoneInfo("America/New_York")

_ID = ID_PATTERN + r"\Z"
_UUID = r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"
_ATTEMPT = r"Attempt(\d+)_\d{4}-\d{2}-\d{2}_\d{6}_EST"


def parse_asset_id(text: str) -> AssetId:
    """Return `text` as an asset id. Raises Invalid if it does not match `ID_PATTERN`."""
    if not re.match(_ID, text):
        raise Invalid("asset id is invalid", expected=ID_RULE, got=repr(text))
    return AssetId(text)


def parse_env(text: str) -> str:
    """Return `text` as an environment name. Raises Invalid if it breaks `ENV_PATTERN`."""
    if not re.match(ENV_PATTERN + r"\Z", text):
        raise Invalid(
            "environment name is invalid",
            expected="1 to 32 lower-case letters, digits or hyphens, such as dev or prod",
            got=repr(text),
        )
    return text


def asset_id_from_name(file_name: str) -> AssetId:
    """Derive an asset id from the stem of a file name.

    Accents are removed, and other characters that an id cannot contain become `-`. If letters of
    another script are lost, eight digits of the name's SHA-256 are appended, so that two films do
    not get the same id.
    """
    stem = file_name.rsplit(".", 1)[0] or file_name
    unaccented = "".join(c for c in normalize("NFKD", stem) if not combining(c))
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", unaccented).strip("-._")[:100]
    if any(c.isalnum() and not c.isascii() for c in unaccented) or not cleaned:
        name = file_name.encode("utf-8", "surrogateescape")
        cleaned = f"{cleaned or 'asset'}-{sha256_hex(name)[:8]}"
    return parse_asset_id(cleaned)


def parse_run_id(text: str) -> RunId:
    """Return `text` as a run id; a UUID in any spelling becomes 32 lower-case hex digits.

    Raises Invalid if it is neither a UUID nor matches `ID_PATTERN`.
    """
    if re.fullmatch(_UUID, text):
        return RunId(text.replace("-", "").lower())
    if not re.match(_ID, text):
        raise Invalid("run id is invalid", expected=f"a UUID, or {ID_RULE}", got=repr(text))
    return RunId(text)


def attempt_run_id(number: int, moment: datetime) -> RunId:
    """Format the id of an asset's N-th run: `AttemptN_YYYY-MM-DD_HHMMSS_EST`.

    `moment`: when the run was started, timezone-aware. The id contains the time in
    America/New_York; its suffix is `EST` in summer, too.
    """
    local = moment.astimezone(ATTEMPT_ZONE)
    return RunId(f"Attempt{number}_{local:%Y-%m-%d_%H%M%S}_EST")


def attempt_number(run_id: str) -> int | None:
    """Return N of the run id `AttemptN_…_EST`; None for any other run id."""
    found = re.fullmatch(_ATTEMPT, run_id)
    return int(found.group(1)) if found else None
