"""Jump, find, search and lists return what a scan of all artifacts would return."""

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.answers import ArtifactPage, Hit
from filmgate.core.envelope import Envelope
from filmgate.core.errors import Conflict, NotFound, UsageError
from filmgate.core.ids import AssetId
from filmgate.core.jump_filters import JumpFilters
from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.payload import Payload
from filmgate.core.questions import Cursor, Direction, JumpKind, TextSource
from filmgate.core.selection import Selection
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.searching import ASSETS_PER_STEP, HITS_PER_ASSET
from filmgate.db.selections import Selections
from support.archive import (
    appearance_payload,
    face_payload,
    ingest_artifacts,
    object_payload,
    ocr_payload,
    place_payload,
    scene_payload,
    transcript_payload,
)
from support.database import FILM, ON_THE_DATABASE

Row = tuple[int, int, dict[str, Any]]

WORDS = ("gate", "rocket", "moon", "compiler")
MAKERS: dict[JumpKind, Callable[[str, float | None], dict[str, Any]]] = {
    JumpKind.SCENE: lambda word, confidence: scene_payload(),
    JumpKind.TRANSCRIPT: lambda word, confidence: transcript_payload(word, "xx", confidence),
    JumpKind.OCR: ocr_payload,
    JumpKind.OBJECT: object_payload,
    JumpKind.FACE: lambda word, confidence: face_payload(
        None if word == "moon" else word, confidence
    ),
    JumpKind.PLACE: place_payload,
    JumpKind.PERSON: appearance_payload,
}
FILTER_OF = {
    JumpKind.TRANSCRIPT: "text",
    JumpKind.OCR: "text",
    JumpKind.OBJECT: "label",
    JumpKind.PLACE: "label",
    JumpKind.FACE: "face_cluster_id",
    JumpKind.PERSON: "face_cluster_id",
}
confidences = st.none() | st.sampled_from([0.25, 0.5, 0.75])
spans = st.tuples(st.integers(0, 30), st.integers(0, 5)).map(lambda s: (s[0], s[0] + s[1]))
marked_spans = st.lists(st.tuples(spans, st.sampled_from(WORDS), confidences), max_size=12)


def ordinal(artifact: Any) -> int:
    return int(artifact.artifact_id.rpartition(":")[2])


class Wave(Payload):
    hand: str
    confidence: float


WITH_GESTURES = BUILT_IN.with_types([ArtifactType(name="gesture.wave", version=1, model=Wave)])


def test_a_jump_reaches_artifacts_of_a_type_without_a_kind(connection: psycopg.Connection) -> None:
    waves = [(ms, ms + 5, {"hand": "left", "confidence": ms / 100}) for ms in (10, 20, 30)]
    ingest_artifacts(connection, {"gesture.wave": waves}, registry=WITH_GESTURES)
    serving = ArtifactQueries(connection)
    least = JumpFilters(min_confidence=0.25)
    found = serving.jump(FILM, "gesture.wave", Direction.NEXT, 10)
    assert (found.kind, found.artifact.span_start_ms) == ("gesture.wave", 20)
    assert serving.jump(FILM, "gesture.wave", Direction.NEXT, 0, least).artifact.span_start_ms == 30
    with pytest.raises(UsageError, match="cannot be filtered by text"):
        serving.jump(FILM, "gesture.wave", Direction.NEXT, 0, JumpFilters(text="hello"))


@given(
    kind=st.sampled_from(JumpKind),
    artifacts=marked_spans,
    from_ms=st.integers(0, 32),
    direction=st.sampled_from(Direction),
    word=st.none() | st.sampled_from(WORDS),
    least=confidences,
)
@ON_THE_DATABASE
def test_a_jump_finds_what_a_full_scan_finds(
    connection: psycopg.Connection,
    serving: ArtifactQueries,
    kind: JumpKind,
    artifacts: list[tuple[tuple[int, int], str, float | None]],
    from_ms: int,
    direction: Direction,
    word: str | None,
    least: float | None,
) -> None:
    if kind is JumpKind.SCENE:
        word = least = None
    rows = sorted(
        [
            (*span, MAKERS[kind](name, confidence), name, confidence)
            for span, name, confidence in artifacts
        ],
        key=lambda row: row[:2],
    )
    matching = [
        (start, number)
        for number, (start, _, _, name, confidence) in enumerate(rows)
        if word in {None, name}
        and not (kind is JumpKind.FACE and word == "moon")
        and (least is None or (confidence is not None and confidence >= least))
    ]
    if direction is Direction.NEXT:
        expected = min((match for match in matching if match[0] > from_ms), default=None)
    else:
        before = [match for match in matching if match[0] < from_ms]
        expected = min((match for match in before if match[0] == max(before)[0]), default=None)
    filters = JumpFilters.model_validate(
        {"min_confidence": least} | ({FILTER_OF[kind]: word} if word else {})
    )
    with connection.transaction(force_rollback=True):
        ingest_artifacts(connection, {kind.artifact_type: [row[:3] for row in rows]})
        if expected is None:
            with pytest.raises(NotFound, match=f"no {kind.value}.* starts"):
                serving.jump(FILM, kind, direction, from_ms, filters)
            return
        answer = serving.jump(FILM, kind, direction, from_ms, filters)
        assert (answer.artifact.span_start_ms, ordinal(answer.artifact)) == expected
        assert answer.runs == {kind.artifact_type: "r1"}
        assert serving.jump(FILM, kind, direction, from_ms, filters) == answer


def test_next_and_prev_are_inverse_on_adjoining_spans(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ingest_artifacts(
        connection, {"scene": [(n * 1000, n * 1000 + 1000, scene_payload(n)) for n in range(4)]}
    )
    after = serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 1000).artifact.span_start_ms
    before = serving.jump(FILM, JumpKind.SCENE, Direction.PREV, after).artifact.span_start_ms
    assert (after, before) == (2000, 1000)


def test_a_filter_that_a_kind_does_not_have_is_refused_by_name(serving: ArtifactQueries) -> None:
    with pytest.raises(UsageError, match="a jump to face cannot be filtered by label"):
        serving.jump(FILM, JumpKind.FACE, Direction.NEXT, 0, JumpFilters(label="car"))


def test_every_served_artifact_is_a_complete_envelope(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    artifacts = {kind.artifact_type: [(0, 9, make("gate", 0.5))] for kind, make in MAKERS.items()}
    ingest_artifacts(connection, artifacts)
    found = serving.artifacts(FILM).artifacts
    assert [artifact.artifact_type for artifact in found] == sorted(artifacts)
    for artifact in found:
        assert Envelope.model_validate(artifact.model_dump()) == artifact
        assert not [v for v in artifact.model_dump().values() if v in (None, "")]


TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
QUERIES: list[tuple[str, Callable[[str], bool]]] = [
    ("gate", lambda text: "gate" in text.split()),
    ("gate rocket", lambda text: {"gate", "rocket"} <= set(text.split())),
    ("moon or compiler", lambda text: bool({"moon", "compiler"} & set(text.split()))),
    ('"gate rocket"', lambda text: re.search(r"\bgate rocket\b", text) is not None),
    ("rocket -moon", lambda text: "rocket" in text.split() and "moon" not in text.split()),
    ("-gate", lambda text: "gate" not in text.split()),
    ("elephant", lambda text: False),
]


@given(
    spoken=st.lists(st.tuples(spans, TEXT), max_size=8),
    displayed=st.lists(st.tuples(spans, TEXT), max_size=8),
    query_and_matcher=st.sampled_from(QUERIES),
    source=st.sampled_from(TextSource),
    direction=st.sampled_from(Direction),
    from_ms=st.none() | st.integers(0, 32),
    limit=st.integers(1, 5),
)
@ON_THE_DATABASE
def test_find_merges_spoken_and_displayed_texts_by_time(
    connection: psycopg.Connection,
    serving: ArtifactQueries,
    spoken: list[tuple[tuple[int, int], str]],
    displayed: list[tuple[tuple[int, int], str]],
    query_and_matcher: tuple[str, Callable[[str], bool]],
    source: TextSource,
    direction: Direction,
    from_ms: int | None,
    limit: int,
) -> None:
    query, matches = query_and_matcher
    artifacts = {
        "transcript.segment": [(*span, transcript_payload(text, "xx")) for span, text in spoken],
        "ocr.text": [(*span, ocr_payload(text) | {"language": "xx"}) for span, text in displayed],
    }
    is_next = direction is Direction.NEXT
    expected = sorted(
        [
            (row[0], name, number)
            for name in source.artifact_types
            for number, row in enumerate(sorted(artifacts[name], key=lambda row: row[:2]))
            if matches(row[2]["text"])
            and (from_ms is None or (row[0] > from_ms if is_next else row[0] < from_ms))
        ],
        reverse=not is_next,
    )
    with connection.transaction(force_rollback=True):
        ingest_artifacts(connection, artifacts)
        found: list[tuple[int, str, int]] = []
        cursor = None
        while True:
            answer = serving.find(
                FILM,
                query,
                source=source,
                direction=direction,
                from_ms=from_ms,
                limit=limit,
                cursor=cursor,
            )
            assert len(answer.hits) <= limit
            assert answer.runs == dict.fromkeys(source.artifact_types, "r1")
            found += [
                (hit.artifact.span_start_ms, hit.artifact.artifact_type, ordinal(hit.artifact))
                for hit in answer.hits
            ]
            cursor = answer.next_cursor
            if cursor is None:
                break
    assert found == expected


SPOKEN = [
    "The rocket waits on its pad",
    "nobody moves on",
    "Rockets & gates: the gate is checked",
    "שלום the compiler",
    "x" * 3000,
    "half " * 500 + "needle" + " half" * 500,
]


@pytest.fixture
def spoken(connection: psycopg.Connection, serving: ArtifactQueries) -> ArtifactQueries:
    """Queries on a run with a transcript."""
    rows = [(n * 1000, n * 1000 + 900, transcript_payload(text)) for n, text in enumerate(SPOKEN)]
    ingest_artifacts(connection, {"transcript.segment": rows})
    return serving


@pytest.mark.parametrize(
    ("query", "starts"),
    [
        ("rocket", [0, 2000]),
        ('"rocket waits"', [0]),
        ("compiler or moves", [1000, 3000]),
        ("rocket -gate", [0]),
        ("שלום", [3000]),
        ("needle", [5000]),
        ("elephant", []),
        ("", []),
        ("the", []),
    ],
)
def test_queries_in_web_search_syntax_find_their_words(
    spoken: ArtifactQueries, query: str, starts: list[int]
) -> None:
    assert [hit.artifact.span_start_ms for hit in spoken.find(FILM, query).hits] == starts


def test_matches_are_highlighted_in_the_original_text(spoken: ArtifactQueries) -> None:
    (hit,) = spoken.find(FILM, "gate").hits
    assert hit.snippet == SPOKEN[2]
    assert [hit.snippet[start:end] for start, end in hit.highlights] == ["gates", "gate"]


def test_the_snippet_of_a_long_text_contains_the_match(spoken: ArtifactQueries) -> None:
    (hit,) = spoken.find(FILM, "needle").hits
    ((start, end),) = hit.highlights
    assert hit.snippet[start:end] == "needle"
    assert len(hit.snippet) < 500


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


@given(query=ANY_TEXT | st.text("&|!:*()<->'\"\\ ab", max_size=80))
@ON_THE_DATABASE
def test_any_text_is_a_safe_query(spoken: ArtifactQueries, query: str) -> None:
    spoken.find(FILM, query, source=TextSource.ALL)
    spoken.search(query)
    filters = JumpFilters.model_construct(text=query)  # unvalidated, with lone surrogates
    for kind in (JumpKind.TRANSCRIPT, JumpKind.OCR):
        with pytest.raises(NotFound):
            spoken.jump(FILM, kind, Direction.NEXT, 5000, filters)


@pytest.mark.parametrize(
    "query",
    [
        "rocket or " * 999 + "rocket",
        "x " + "-" * 9_998,
        "a" * 10_000,
        '"' * 10_000,
        "not " * 2500,
        "(" * 10_000,
        "\u202e" + "שלום " * 1999,
    ],
)
def test_a_query_may_have_ten_thousand_characters(spoken: ArtifactQueries, query: str) -> None:
    spoken.find(FILM, query)
    spoken.search(query)


def test_a_query_of_more_than_ten_thousand_characters_is_refused(spoken: ArtifactQueries) -> None:
    long = "a" * 10_001
    for ask in (
        lambda: spoken.find(FILM, long),
        lambda: spoken.search(long),
        lambda: spoken.jump(
            FILM, JumpKind.TRANSCRIPT, Direction.NEXT, 0, JumpFilters.model_construct(text=long)
        ),
    ):
        with pytest.raises(UsageError, match="the query is too long"):
            ask()


def test_a_search_finds_the_words_of_texts_of_any_script_and_size(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    """The words of a film are split into parts that fit into a text search vector."""
    letters = [chr(0x4E00 + n) for n in range(5000)]
    texts = ["-".join(letters[n : n + 4]) + " " for n in range(0, 4996, 2)]
    rows = [
        (n, n + 1, transcript_payload(" ".join(texts[n * 300 : (n + 1) * 300]) * 2, "xx"))
        for n in range(8)
    ]
    ingest_artifacts(connection, {"transcript.segment": rows})
    for word in letters[10:4500:450]:
        assert len(serving.find(FILM, word).hits) > 0
        assert len(serving.search(word).hits) > 0
    sizes = connection.execute("select pg_column_size(words) from served_words").fetchall()
    assert max(sizes)[0] < 1 << 20


def test_a_search_reads_a_limited_number_of_assets_and_returns_a_cursor(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    """Words that never occur in one text are searched asset by asset, a page at a time."""
    count = sum(ASSETS_PER_STEP) + 6
    for number in range(count):
        texts = ["gate", "rocket"] if number else ["gate rocket"]
        rows = [(n, n + 1, transcript_payload(text)) for n, text in enumerate(texts)]
        ingest_artifacts(connection, {"transcript.segment": rows}, asset=f"film{number}")
    first = serving.search("gate rocket")
    assert (first.hits, first.next_cursor is None) == ((), False)
    rest = serving.search("gate rocket", cursor=first.next_cursor)
    assert [hit.artifact.asset_id for hit in rest.hits] == ["film0"]
    assert rest.next_cursor is None


def test_a_text_of_megabytes_is_ingested_and_found_by_its_first_words(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    words = " ".join(f"word{n}" for n in range(200_000))
    ingest_artifacts(
        connection, {"transcript.segment": [(0, 1, transcript_payload("first " + words))] * 8}
    )
    assert len(serving.find(FILM, "first word7").hits) == 8
    assert serving.find(FILM, "word199999").hits == ()
    assert len(serving.search("first word7").hits) == HITS_PER_ASSET


def test_a_next_page_is_refused_when_other_runs_are_served(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    scenes = {"scene": [(n, n + 1, scene_payload(n)) for n in range(5)]}
    words = {"transcript.segment": [(n, n + 1, transcript_payload("gate")) for n in range(5)]}
    ingest_artifacts(connection, scenes | words)
    page, found = serving.artifacts(FILM, limit=2), serving.find(FILM, "gate", limit=2)
    changes: list[Callable[[], None]] = [
        lambda: ingest_artifacts(connection, scenes | words, run="newer", finished=1),
        lambda: ingest_artifacts(connection, scenes | words, finished=2, revision=2),
        lambda: ingest_artifacts(connection, scenes | words, installation="other"),
        lambda: Selections(connection).select(FILM, "scene", single),
    ]
    single = Selection.of(run_id="r1", ordinal=1)
    for change in changes:
        with connection.transaction(force_rollback=True):
            change()
            with pytest.raises(Conflict, match="the served runs changed"):
                serving.artifacts(FILM, limit=2, cursor=page.next_cursor)
            if change is not changes[-1]:
                with pytest.raises(Conflict, match="the served runs changed"):
                    serving.find(FILM, "gate", limit=2, cursor=found.next_cursor)
    assert len(serving.find(FILM, "gate", limit=9, cursor=found.next_cursor).hits) == 3


@given(
    films=st.lists(
        st.lists(st.tuples(spans, TEXT, st.booleans()), max_size=7), min_size=1, max_size=4
    ),
    query=st.sampled_from([query for query, _ in QUERIES if not query.startswith("-")]),
    source=st.sampled_from(TextSource),
    limit=st.integers(1, 4),
)
@ON_THE_DATABASE
def test_a_search_returns_the_first_hits_of_find_for_each_asset(
    connection: psycopg.Connection,
    serving: ArtifactQueries,
    films: list[list[tuple[tuple[int, int], str, bool]]],
    query: str,
    source: TextSource,
    limit: int,
) -> None:
    with connection.transaction(force_rollback=True):
        for number, texts in enumerate(films):
            texts_by_type: dict[str, list[Row]] = {
                "transcript.segment": [
                    (*s, transcript_payload(t, "xx")) for s, t, is_said in texts if is_said
                ],
                "ocr.text": [(*s, ocr_payload(t)) for s, t, is_said in texts if not is_said],
            }
            ingest_artifacts(connection, texts_by_type, asset=f"film{number}")
            ingest_artifacts(connection, {}, asset=f"film{number}", run="newer", finished=1)
        expected = [
            hit
            for number in reversed(range(len(films)))
            for hit in serving.find(
                AssetId(f"film{number}"), query, source=source, limit=HITS_PER_ASSET
            ).hits
        ]
        found: list[Hit] = []
        cursor = None
        while True:
            page = serving.search(query, source=source, limit=limit, cursor=cursor)
            assert len(page.hits) <= limit
            found += page.hits
            cursor = page.next_cursor
            if cursor is None:
                break
    assert found == expected


@given(
    spans_by_type=st.dictionaries(
        st.sampled_from(["scene", "object.detection", "ocr.text"]),
        st.lists(spans, max_size=8),
        max_size=3,
    ),
    requested=st.tuples(st.none() | st.integers(0, 36), st.none() | st.integers(0, 36)),
    limit=st.integers(1, 6),
)
@ON_THE_DATABASE
def test_a_paged_list_contains_every_overlapping_artifact(
    connection: psycopg.Connection,
    serving: ArtifactQueries,
    spans_by_type: dict[str, list[tuple[int, int]]],
    requested: tuple[int | None, int | None],
    limit: int,
) -> None:
    from_ms, to_ms = requested
    if from_ms is not None and to_ms is not None and from_ms > to_ms:
        with pytest.raises(UsageError, match="the span ends before it starts"):
            serving.artifacts(FILM, from_ms=from_ms, to_ms=to_ms)
        return
    payloads = {
        "scene": scene_payload(),
        "object.detection": object_payload("car"),
        "ocr.text": ocr_payload("gate"),
    }
    lower, upper = from_ms if from_ms is not None else -1, to_ms if to_ms is not None else 999

    def overlaps(start: int, end: int) -> bool:
        if start == end:
            return lower <= start < upper
        return start < upper and end > lower

    expected = sorted(
        (start, name, number)
        for name, rows in spans_by_type.items()
        for number, (start, end) in enumerate(sorted(rows))
        if overlaps(start, end)
    )
    with connection.transaction(force_rollback=True):
        ingest_artifacts(
            connection,
            {
                name: [(*span, payloads[name]) for span in rows]
                for name, rows in spans_by_type.items()
            },
        )
        found: list[tuple[int, str, int]] = []
        cursor = None
        while True:
            page: ArtifactPage = serving.artifacts(
                FILM, from_ms=from_ms, to_ms=to_ms, limit=limit, cursor=cursor
            )
            found += [(a.span_start_ms, a.artifact_type, ordinal(a)) for a in page.artifacts]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert found == expected


def test_a_cursor_of_another_query_is_refused(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ingest_artifacts(connection, {"scene": [(0, 1, scene_payload())]})
    for cursor in ("", "x", "W10", "bnVsbA", "WzEsMl0", "é"):
        with pytest.raises(UsageError, match="cursor is invalid"):
            serving.artifacts(FILM, cursor=cursor or "=")
        with pytest.raises(UsageError, match="cursor is invalid"):
            serving.search("x", cursor=cursor or "=")
        with pytest.raises(UsageError, match="cursor is invalid"):
            serving.find(FILM, "x", cursor=cursor or "=")
    ingest_artifacts(
        connection, {"scene": [(n, n + 1, scene_payload()) for n in range(3)]}, asset="other"
    )
    valid = serving.artifacts(AssetId("other"), limit=1).next_cursor
    for changed in ({"from_ms": 1}, {"artifact_types": ["scene"]}, {"producer": "model"}):
        with pytest.raises(UsageError, match="cursor is invalid for this query"):
            serving.artifacts(AssetId("other"), limit=1, cursor=valid, **changed)
    for hostile in ("W" * 100_000, Cursor.encode(["search", "x", "all"], [10**30, 1, "a", 1])):
        with pytest.raises(UsageError, match="cursor is invalid"):
            serving.search("x", cursor=hostile)


def test_text_that_the_database_cannot_store_is_accepted_in_queries(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ingest_artifacts(connection, {"transcript.segment": [(5, 6, transcript_payload("the rocket"))]})
    broken = "rocket \udcff \0"
    text = JumpFilters.model_construct(text=broken)
    answer = serving.jump(FILM, JumpKind.TRANSCRIPT, Direction.NEXT, 0, text)
    for result in (answer, serving.find(FILM, broken), serving.search(broken)):
        assert "rocket" in result.model_dump_json()
    assert serving.artifacts(FILM, producer="\udcff", artifact_types=["\udcff"]).artifacts == ()
    ingest_artifacts(
        connection, {"scene": [(n, n + 1, scene_payload()) for n in range(3)]}, run="r2", finished=1
    )
    query: dict[str, Any] = {"artifact_types": ["scene", "\udcff"], "limit": 1}
    first = serving.artifacts(FILM, **query)
    assert len(serving.artifacts(FILM, cursor=first.next_cursor, **query).artifacts) == 1
    selection = Selection.of(profile="\udcff")
    with pytest.raises(NotFound):
        serving.jump(FILM, JumpKind.TRANSCRIPT, Direction.NEXT, 0, selection=selection)


def test_search_pages_of_any_size_together_contain_every_asset(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    count = sum(ASSETS_PER_STEP) + 20
    for number in range(count):
        text = "gate rocket" if number % 3 == 0 else "gate"
        words = [(0, 1, transcript_payload(text)), (5, 6, transcript_payload("rocket"))]
        ingest_artifacts(connection, {"transcript.segment": words}, asset=f"film{number}")
    expected = [f"film{number}" for number in reversed(range(count)) if number % 3 == 0]
    for limit in (1, 7, 100):
        found: list[str] = []
        cursor = None
        while True:
            page = serving.search("gate rocket", limit=limit, cursor=cursor)
            found += [hit.artifact.asset_id for hit in page.hits]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == expected


def test_an_unknown_asset_is_reported_by_name(serving: ArtifactQueries) -> None:
    unknown = AssetId("nope")
    for ask in (
        lambda: serving.find(unknown, "x"),
        lambda: serving.jump(unknown, JumpKind.SCENE, Direction.NEXT, 0),
        lambda: serving.artifacts(unknown),
        lambda: serving.artifacts(unknown, producer="x"),
        lambda: serving.find(unknown, "x", selection=Selection.of(profile="fast")),
    ):
        with pytest.raises(NotFound, match="asset 'nope' is not in the database"):
            ask()
