"""Statements of queries, composed once from the named fragments in `sql/serve.sql`."""

from functools import cache

from psycopg import sql

from filmgate.core.payloads.built_in import (
    FACE_CLUSTERS,
    OBJECT_LABELS,
    OCR_FTS,
    PLACE_LABELS,
    TRANSCRIPT_FTS,
)
from filmgate.core.questions import Direction, TextSource
from filmgate.db.queries import queries
from filmgate.db.sessions import compose

PROJECTIONS = {
    projection.artifact_type: projection.name
    for projection in (TRANSCRIPT_FTS, OCR_FTS, OBJECT_LABELS, FACE_CLUSTERS, PLACE_LABELS)
}
"""The table in which filters and words are looked up, by artifact type."""


@cache
def jump(
    artifact_type: str, direction: Direction, filters: tuple[str, ...], *, is_default: bool
) -> str:
    """Find the artifact with the nearest start among those that pass the filters."""
    by_value = {"label", "face_cluster_id", "text"} & set(filters)
    table = PROJECTIONS.get(artifact_type) if by_value else None
    conditions = _CONDITIONS_ON_PROJECTION if table else _CONDITIONS_ON_PAYLOAD
    parts = {
        "conditions": sql.SQL(" and ").join([sql.SQL(conditions[name]) for name in filters])
        if filters
        else sql.SQL("true"),
        "beyond": sql.SQL(">" if direction is Direction.NEXT else "<"),
        "order": sql.SQL("asc" if direction is Direction.NEXT else "desc"),
        "projection": sql.Identifier(table or "artifact_rows"),
    }
    fragment = "fragment_nearest_projected" if table else "fragment_nearest"
    return _compose_text("jump", is_default=is_default, nearest=_compose(fragment, **parts))


@cache
def served_run(*, is_default: bool) -> str:
    """Find the run that one type of an asset is served from."""
    return _compose_text("served_run", is_default=is_default)


_CONDITIONS_ON_PROJECTION = {
    "label": "x.label = %(label)s",
    "face_cluster_id": "x.cluster_id = %(face_cluster_id)s",
    "text": "x.words @@ (select asked_words(s.text_config, %(text)s))",
    "min_confidence": "x.confidence >= %(min_confidence)s",
}
_CONDITIONS_ON_PAYLOAD = {
    "label": "x.payload ->> 'label' = %(label)s",
    "face_cluster_id": "x.payload ->> 'cluster_id' = %(face_cluster_id)s",
    "min_confidence": "(x.payload ->> 'confidence')::double precision >= %(min_confidence)s",
}


@cache
def find(direction: Direction, types: tuple[str, ...], *, is_default: bool) -> str:
    """Search the texts of some types of one asset."""
    is_next = direction is Direction.NEXT
    order = sql.SQL("asc" if is_next else "desc")
    matches = [
        _compose(
            "fragment_matches",
            projection=sql.Identifier(PROJECTIONS[name]),
            artifact_type=sql.Literal(name),
            beyond=sql.SQL(">" if is_next else "<"),
            before_first=sql.SQL("-1" if is_next else "9223372036854775807"),
            order=order,
        )
        for name in types
    ]
    merged = sql.SQL(" union all ").join(matches)
    return _compose_text("find", is_default=is_default, matches=merged, order=order)


@cache
def search() -> str:
    """Search the texts of all assets."""
    matches = [
        _compose(
            "fragment_search_matches",
            projection=sql.Identifier(PROJECTIONS[name]),
            artifact_type=sql.Literal(name),
        )
        for name in TextSource.ALL.artifact_types
    ]
    return _compose_text("search", is_default=True, matches=sql.SQL(" union all ").join(matches))


@cache
def artifacts(*, is_default: bool) -> str:
    """List a page of artifacts of one asset."""
    return _compose_text("list", is_default=is_default)


def _compose_text(name: str, *, is_default: bool, **parts: sql.Composable) -> str:
    """Compose a statement. Its text is always the same, so that the driver can reuse the prepared
    statement."""
    sources = _compose("fragment_served" if is_default else "fragment_selected")
    for fragment in ("envelope", "has_legacy"):
        parts[fragment] = _compose(f"fragment_{fragment}")
    return _compose(name, sources=sources, **parts).as_string()


def _compose(name: str, **parts: sql.Composable) -> sql.Composed:
    return compose(queries("serve")[name], **parts)
