"""Statements: what serving asks, put together once of the named parts in `sql/serve.sql`."""

from functools import cache

from psycopg import sql

from filmgate.core.payloads.built_in import (
    FACE_CLUSTERS,
    OBJECT_LABELS,
    OCR_FTS,
    PLACE_LABELS,
    TRANSCRIPT_FTS,
)
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.db.queries import queries
from filmgate.db.sessions import composed

PROJECTIONS = {
    each.artifact_type: each.name
    for each in (TRANSCRIPT_FTS, OCR_FTS, OBJECT_LABELS, FACE_CLUSTERS, PLACE_LABELS)
}
"""Where filters and words are looked up, by type."""


@cache
def jump(
    kind: JumpKind, direction: Direction, filters: tuple[str, ...], *, is_default: bool
) -> str:
    """The artifact with the nearest start, among those that pass the filters."""
    by_value = {"label", "face_cluster_id", "text"} & set(filters)
    table = PROJECTIONS.get(kind.artifact_type) if by_value else None
    narrowing = _PROJECTED if table else _IN_PAYLOAD
    parts = {
        "narrowed": sql.SQL(" and ").join([sql.SQL(narrowing[name]) for name in filters])
        if filters
        else sql.SQL("true"),
        "beyond": sql.SQL(">" if direction is Direction.NEXT else "<"),
        "way": sql.SQL("asc" if direction is Direction.NEXT else "desc"),
        "projection": sql.Identifier(table or "artifact_rows"),
    }
    part = "fragment_nearest_projected" if table else "fragment_nearest"
    return _composed("jump", is_default=is_default, nearest=_part(part, **parts))


@cache
def served_run(*, is_default: bool) -> str:
    """The run that one type of an asset is served from."""
    return _composed("served_run", is_default=is_default)


_PROJECTED = {
    "label": "x.label = %(label)s",
    "face_cluster_id": "x.cluster_id = %(face_cluster_id)s",
    "text": "x.words @@ (select asked_words(s.text_config, %(text)s))",
    "min_confidence": "x.confidence >= %(min_confidence)s",
}
_IN_PAYLOAD = {
    "face_cluster_id": "x.payload ->> 'cluster_id' = %(face_cluster_id)s",
    "min_confidence": "(x.payload ->> 'confidence')::double precision >= %(min_confidence)s",
}


@cache
def find(direction: Direction, types: tuple[str, ...], *, is_default: bool) -> str:
    """Words in some types of one asset."""
    is_next = direction is Direction.NEXT
    way = sql.SQL("asc" if is_next else "desc")
    matches = [
        _part(
            "fragment_matches",
            projection=sql.Identifier(PROJECTIONS[name]),
            artifact_type=sql.Literal(name),
            beyond=sql.SQL(">" if is_next else "<"),
            nowhere=sql.SQL("-1" if is_next else "9223372036854775807"),
            way=way,
        )
        for name in types
    ]
    merged = sql.SQL(" union all ").join(matches)
    return _composed("find", is_default=is_default, matches=merged, way=way)


@cache
def search() -> str:
    """Words in all assets."""
    matches = [
        _part(
            "fragment_search_matches",
            projection=sql.Identifier(PROJECTIONS[name]),
            artifact_type=sql.Literal(name),
        )
        for name in TextSource.ALL.artifact_types
    ]
    return _composed("search", is_default=True, matches=sql.SQL(" union all ").join(matches))


@cache
def artifacts(*, is_default: bool) -> str:
    """A page of artifacts of one asset."""
    return _composed("list", is_default=is_default)


def _composed(name: str, *, is_default: bool, **parts: sql.Composable) -> str:
    """A whole statement, as text, so that the driver knows it again."""
    sources = _part("fragment_served" if is_default else "fragment_chosen")
    for fragment in ("envelope", "has_legacy"):
        parts[fragment] = _part(f"fragment_{fragment}")
    whole = _part(name, sources=sources, **parts)
    return whole.as_string()


def _part(name: str, **parts: sql.Composable) -> sql.Composed:
    return composed(queries("serve")[name], **parts)
