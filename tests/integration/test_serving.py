"""Jump, find, search and lists answer as a look at everything would."""

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
from filmgate.core.questions import Cursor, Direction, JumpKind, TextSource
from filmgate.core.selection import Selection
from filmgate.db.searching import FILMS_AT_ONCE, PER_ASSET
from filmgate.db.selections import Selections
from filmgate.db.serving import Serving
from support.archive import face, on_screen, place, said, scene, seen, shown, take_in
from support.database import FILM, ON_THE_DATABASE

Row = tuple[int, int, dict[str, Any]]

WORDS = ("gate", "rocket", "moon", "compiler")
MAKERS: dict[JumpKind, Callable[[str, float | None], dict[str, Any]]] = {
    JumpKind.SCENE: lambda word, confidence: scene(),
    JumpKind.TRANSCRIPT: lambda word, confidence: said(word, "xx", confidence),
    JumpKind.OCR: shown,
    JumpKind.OBJECT: seen,
    JumpKind.FACE: lambda word, confidence: face(None if word == "moon" else word, confidence),
    JumpKind.PLACE: place,
    JumpKind.PERSON: on_screen,
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


@given(
    kind=st.sampled_from(JumpKind),
    things=marked_spans,
    from_ms=st.integers(0, 32),
    direction=st.sampled_from(Direction),
    word=st.none() | st.sampled_from(WORDS),
    least=confidences,
)
@ON_THE_DATABASE
def test_a_jump_lands_where_a_look_at_everything_says(
    connection: psycopg.Connection,
    serving: Serving,
    kind: JumpKind,
    things: list[tuple[tuple[int, int], str, float | None]],
    from_ms: int,
    direction: Direction,
    word: str | None,
    least: float | None,
) -> None:
    if kind is JumpKind.SCENE:
        word = least = None
    rows = sorted(
        [(*span, MAKERS[kind](name, sure), name, sure) for span, name, sure in things],
        key=lambda row: row[:2],
    )
    fits = [
        (start, number)
        for number, (start, _, _, name, sure) in enumerate(rows)
        if word in {None, name}
        and not (kind is JumpKind.FACE and word == "moon")
        and (least is None or (sure is not None and sure >= least))
    ]
    if direction is Direction.NEXT:
        wanted = min((each for each in fits if each[0] > from_ms), default=None)
    else:
        before = [each for each in fits if each[0] < from_ms]
        wanted = min((each for each in before if each[0] == max(before)[0]), default=None)
    chosen = {"min_confidence": least} | ({FILTER_OF[kind]: word} if word else {})
    filters = JumpFilters.model_validate(chosen)
    with connection.transaction(force_rollback=True):
        take_in(connection, {kind.artifact_type: [row[:3] for row in rows]})
        if wanted is None:
            with pytest.raises(NotFound, match=f"no {kind.value}.* starts"):
                serving.jump(FILM, kind, direction, from_ms, filters)
            return
        answer = serving.jump(FILM, kind, direction, from_ms, filters)
        assert (answer.artifact.span_start_ms, ordinal(answer.artifact)) == wanted
        assert answer.runs == {kind.artifact_type: "r1"}
        assert serving.jump(FILM, kind, direction, from_ms, filters) == answer


def test_next_and_prev_undo_each_other_on_adjoining_spans(
    connection: psycopg.Connection, serving: Serving
) -> None:
    take_in(connection, {"scene": [(n * 1000, n * 1000 + 1000, scene(n)) for n in range(4)]})
    there = serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 1000).artifact.span_start_ms
    back = serving.jump(FILM, JumpKind.SCENE, Direction.PREV, there).artifact.span_start_ms
    assert (there, back) == (2000, 1000)


def test_a_filter_that_a_kind_does_not_have_is_refused_by_name(serving: Serving) -> None:
    with pytest.raises(UsageError, match="a jump to face cannot be narrowed by label"):
        serving.jump(FILM, JumpKind.FACE, Direction.NEXT, 0, JumpFilters(label="car"))


def test_every_artifact_that_is_served_is_a_whole_envelope(
    connection: psycopg.Connection, serving: Serving
) -> None:
    things = {kind.artifact_type: [(0, 9, make("gate", 0.5))] for kind, make in MAKERS.items()}
    take_in(connection, things)
    found = serving.artifacts(FILM).artifacts
    assert [each.artifact_type for each in found] == sorted(things)
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
    painted=st.lists(st.tuples(spans, TEXT), max_size=8),
    asked=st.sampled_from(QUERIES),
    source=st.sampled_from(TextSource),
    direction=st.sampled_from(Direction),
    from_ms=st.none() | st.integers(0, 32),
    limit=st.integers(1, 5),
)
@ON_THE_DATABASE
def test_find_merges_what_was_said_and_shown_in_order_of_time(
    connection: psycopg.Connection,
    serving: Serving,
    spoken: list[tuple[tuple[int, int], str]],
    painted: list[tuple[tuple[int, int], str]],
    asked: tuple[str, Callable[[str], bool]],
    source: TextSource,
    direction: Direction,
    from_ms: int | None,
    limit: int,
) -> None:
    query, fits = asked
    things = {
        "transcript.segment": [(*span, said(text, "xx")) for span, text in spoken],
        "ocr.text": [(*span, shown(text) | {"language": "xx"}) for span, text in painted],
    }
    is_next = direction is Direction.NEXT
    wanted = sorted(
        [
            (row[0], name, number)
            for name in source.artifact_types
            for number, row in enumerate(sorted(things[name], key=lambda row: row[:2]))
            if fits(row[2]["text"])
            and (from_ms is None or (row[0] > from_ms if is_next else row[0] < from_ms))
        ],
        reverse=not is_next,
    )
    with connection.transaction(force_rollback=True):
        take_in(connection, things)
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
    assert found == wanted


SPOKEN = [
    "The rocket waits on its pad",
    "nobody moves on",
    "Rockets & gates: the gate is checked",
    "שלום the compiler",
    "x" * 3000,
    "half " * 500 + "needle" + " half" * 500,
]


@pytest.fixture
def spoken(connection: psycopg.Connection, serving: Serving) -> Serving:
    """A run in which things are said."""
    rows = [(n * 1000, n * 1000 + 900, said(text)) for n, text in enumerate(SPOKEN)]
    take_in(connection, {"transcript.segment": rows})
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
def test_words_are_found_as_people_write_them(
    spoken: Serving, query: str, starts: list[int]
) -> None:
    assert [hit.artifact.span_start_ms for hit in spoken.find(FILM, query).hits] == starts


def test_matches_are_marked_in_the_text_as_it_was_said(spoken: Serving) -> None:
    (hit,) = spoken.find(FILM, "gate").hits
    assert hit.snippet == SPOKEN[2]
    assert [hit.snippet[start:end] for start, end in hit.highlights] == ["gates", "gate"]


def test_of_a_long_text_the_part_with_the_match_is_shown(spoken: Serving) -> None:
    (hit,) = spoken.find(FILM, "needle").hits
    ((start, end),) = hit.highlights
    assert hit.snippet[start:end] == "needle"
    assert len(hit.snippet) < 500


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


@given(query=ANY_TEXT | st.text("&|!:*()<->'\"\\ ab", max_size=80))
@ON_THE_DATABASE
def test_any_text_is_a_safe_query(spoken: Serving, query: str) -> None:
    spoken.find(FILM, query, source=TextSource.ALL)
    spoken.search(query)
    filters = JumpFilters.model_construct(text=query)  # as it comes, halves of pairs and all
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
def test_ten_thousand_characters_are_a_query(spoken: Serving, query: str) -> None:
    spoken.find(FILM, query)
    spoken.search(query)


def test_a_question_of_more_characters_is_refused(spoken: Serving) -> None:
    long = "a" * 10_001
    for ask in (
        lambda: spoken.find(FILM, long),
        lambda: spoken.search(long),
        lambda: spoken.jump(
            FILM, JumpKind.TRANSCRIPT, Direction.NEXT, 0, JumpFilters.model_construct(text=long)
        ),
    ):
        with pytest.raises(UsageError, match="this question is too long"):
            ask()


def test_a_search_finds_the_words_of_texts_of_any_script_and_size(
    connection: psycopg.Connection, serving: Serving
) -> None:
    """Parts of a film's words stay within what a text search vector can hold."""
    letters = [chr(0x4E00 + n) for n in range(5000)]
    texts = ["-".join(letters[n : n + 4]) + " " for n in range(0, 4996, 2)]
    rows = [(n, n + 1, said(" ".join(texts[n * 300 : (n + 1) * 300]) * 2, "xx")) for n in range(8)]
    take_in(connection, {"transcript.segment": rows})
    for word in letters[10:4500:450]:
        assert len(serving.find(FILM, word).hits) > 0
        assert len(serving.search(word).hits) > 0
    sizes = connection.execute("select pg_column_size(words) from served_words").fetchall()
    assert max(sizes)[0] < 1 << 20


def test_a_search_looks_through_so_many_films_and_says_where_to_go_on(
    connection: psycopg.Connection, serving: Serving
) -> None:
    """Words that never stand together are looked for film by film, a page at a time."""
    count = sum(FILMS_AT_ONCE) + 6
    for number in range(count):
        texts = ["gate", "rocket"] if number else ["gate rocket"]
        rows = [(n, n + 1, said(text)) for n, text in enumerate(texts)]
        take_in(connection, {"transcript.segment": rows}, asset=f"film{number}")
    first = serving.search("gate rocket")
    assert (first.hits, first.next_cursor is None) == ((), False)
    rest = serving.search("gate rocket", cursor=first.next_cursor)
    assert [hit.artifact.asset_id for hit in rest.hits] == ["film0"]
    assert rest.next_cursor is None


def test_a_text_of_megabytes_is_taken_in_and_found_by_its_beginning(
    connection: psycopg.Connection, serving: Serving
) -> None:
    words = " ".join(f"word{n}" for n in range(200_000))
    take_in(connection, {"transcript.segment": [(0, 1, said("first " + words))] * 8})
    assert len(serving.find(FILM, "first word7").hits) == 8
    assert serving.find(FILM, "word199999").hits == ()
    assert len(serving.search("first word7").hits) == PER_ASSET


def test_pages_of_what_is_no_longer_served_are_refused(
    connection: psycopg.Connection, serving: Serving
) -> None:
    things = {"scene": [(n, n + 1, scene(n)) for n in range(5)]}
    words = {"transcript.segment": [(n, n + 1, said("gate")) for n in range(5)]}
    take_in(connection, things | words)
    page, found = serving.artifacts(FILM, limit=2), serving.find(FILM, "gate", limit=2)
    changes: list[Callable[[], None]] = [
        lambda: take_in(connection, things | words, run="newer", finished=1),
        lambda: take_in(connection, things | words, finished=2, revision=2),
        lambda: take_in(connection, things | words, installation="other"),
        lambda: Selections(connection).select(FILM, "scene", one),
    ]
    one = Selection.of(run_id="r1", ordinal=1)
    for change in changes:
        with connection.transaction(force_rollback=True):
            change()
            with pytest.raises(Conflict, match="what is served changed"):
                serving.artifacts(FILM, limit=2, cursor=page.next_cursor)
            if change is not changes[-1]:
                with pytest.raises(Conflict, match="what is served changed"):
                    serving.find(FILM, "gate", limit=2, cursor=found.next_cursor)
    assert len(serving.find(FILM, "gate", limit=9, cursor=found.next_cursor).hits) == 3


@given(
    films=st.lists(
        st.lists(st.tuples(spans, TEXT, st.booleans()), max_size=7), min_size=1, max_size=4
    ),
    asked=st.sampled_from([each for each in QUERIES if not each[0].startswith("-")]),
    source=st.sampled_from(TextSource),
    limit=st.integers(1, 4),
)
@ON_THE_DATABASE
def test_a_search_shows_of_each_film_what_find_finds_first(
    connection: psycopg.Connection,
    serving: Serving,
    films: list[list[tuple[tuple[int, int], str, bool]]],
    asked: tuple[str, Callable[[str], bool]],
    source: TextSource,
    limit: int,
) -> None:
    query = asked[0]
    with connection.transaction(force_rollback=True):
        for number, texts in enumerate(films):
            things: dict[str, list[Row]] = {
                "transcript.segment": [(*s, said(t, "xx")) for s, t, is_said in texts if is_said],
                "ocr.text": [(*s, shown(t)) for s, t, is_said in texts if not is_said],
            }
            take_in(connection, things, asset=f"film{number}")
            take_in(connection, {}, asset=f"film{number}", run="newer", finished=1)
        wanted = [
            hit
            for number in reversed(range(len(films)))
            for hit in serving.find(
                AssetId(f"film{number}"), query, source=source, limit=PER_ASSET
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
    assert found == wanted


@given(
    things=st.dictionaries(
        st.sampled_from(["scene", "object.detection", "ocr.text"]),
        st.lists(spans, max_size=8),
        max_size=3,
    ),
    wanted=st.tuples(st.none() | st.integers(0, 36), st.none() | st.integers(0, 36)),
    limit=st.integers(1, 6),
)
@ON_THE_DATABASE
def test_a_list_holds_every_artifact_that_overlaps_page_by_page(
    connection: psycopg.Connection,
    serving: Serving,
    things: dict[str, list[tuple[int, int]]],
    wanted: tuple[int | None, int | None],
    limit: int,
) -> None:
    from_ms, to_ms = wanted
    if from_ms is not None and to_ms is not None and from_ms > to_ms:
        with pytest.raises(UsageError, match="a span starts before it ends"):
            serving.artifacts(FILM, from_ms=from_ms, to_ms=to_ms)
        return
    make = {"scene": scene(), "object.detection": seen("car"), "ocr.text": shown("gate")}
    lower, upper = from_ms if from_ms is not None else -1, to_ms if to_ms is not None else 999

    def overlaps(start: int, end: int) -> bool:
        if start == end:
            return lower <= start < upper
        return start < upper and end > lower

    due = sorted(
        (start, name, number)
        for name, rows in things.items()
        for number, (start, end) in enumerate(sorted(rows))
        if overlaps(start, end)
    )
    with connection.transaction(force_rollback=True):
        take_in(
            connection,
            {name: [(*span, make[name]) for span in rows] for name, rows in things.items()},
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
    assert found == due


def test_a_cursor_of_another_question_is_refused(
    connection: psycopg.Connection, serving: Serving
) -> None:
    take_in(connection, {"scene": [(0, 1, scene())]})
    for cursor in ("", "x", "W10", "bnVsbA", "WzEsMl0", "é"):
        with pytest.raises(UsageError, match="no cursor"):
            serving.artifacts(FILM, cursor=cursor or "=")
        with pytest.raises(UsageError, match="no cursor"):
            serving.search("x", cursor=cursor or "=")
        with pytest.raises(UsageError, match="no cursor"):
            serving.find(FILM, "x", cursor=cursor or "=")
    take_in(connection, {"scene": [(n, n + 1, scene()) for n in range(3)]}, asset="other")
    mine = serving.artifacts(AssetId("other"), limit=1).next_cursor
    for changed in ({"from_ms": 1}, {"artifact_types": ["scene"]}, {"producer": "model"}):
        with pytest.raises(UsageError, match="no cursor of this question"):
            serving.artifacts(AssetId("other"), limit=1, cursor=mine, **changed)
    for hostile in ("W" * 100_000, Cursor.of(["search", "x", "all"], [10**30, 1, "a", 1])):
        with pytest.raises(UsageError, match="no cursor"):
            serving.search("x", cursor=hostile)


def test_words_that_no_database_holds_are_asked_for_and_told_of_without_a_fault(
    connection: psycopg.Connection, serving: Serving
) -> None:
    take_in(connection, {"transcript.segment": [(5, 6, said("the rocket"))]})
    broken = "rocket \udcff \0"
    text = JumpFilters.model_construct(text=broken)
    answer = serving.jump(FILM, JumpKind.TRANSCRIPT, Direction.NEXT, 0, text)
    for each in (answer, serving.find(FILM, broken), serving.search(broken)):
        assert "rocket" in each.model_dump_json()
    assert serving.artifacts(FILM, producer="\udcff", artifact_types=["\udcff"]).artifacts == ()
    take_in(connection, {"scene": [(n, n + 1, scene()) for n in range(3)]}, run="r2", finished=1)
    asked: dict[str, Any] = {"artifact_types": ["scene", "\udcff"], "limit": 1}
    first = serving.artifacts(FILM, **asked)
    assert len(serving.artifacts(FILM, cursor=first.next_cursor, **asked).artifacts) == 1
    chosen = Selection.of(profile="\udcff")
    with pytest.raises(NotFound):
        serving.jump(FILM, JumpKind.TRANSCRIPT, Direction.NEXT, 0, selection=chosen)


def test_a_page_of_a_search_ends_and_begins_anywhere_and_leaves_no_film_out(
    connection: psycopg.Connection, serving: Serving
) -> None:
    count = sum(FILMS_AT_ONCE) + 20
    for number in range(count):
        text = "gate rocket" if number % 3 == 0 else "gate"
        words = [(0, 1, said(text)), (5, 6, said("rocket"))]
        take_in(connection, {"transcript.segment": words}, asset=f"film{number}")
    due = [f"film{number}" for number in reversed(range(count)) if number % 3 == 0]
    for limit in (1, 7, 100):
        found: list[str] = []
        cursor = None
        while True:
            page = serving.search("gate rocket", limit=limit, cursor=cursor)
            found += [hit.artifact.asset_id for hit in page.hits]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == due


def test_an_unknown_asset_is_told_by_name(serving: Serving) -> None:
    nope = AssetId("nope")
    for ask in (
        lambda: serving.find(nope, "x"),
        lambda: serving.jump(nope, JumpKind.SCENE, Direction.NEXT, 0),
        lambda: serving.artifacts(nope),
        lambda: serving.artifacts(nope, producer="x"),
        lambda: serving.find(nope, "x", selection=Selection.of(profile="fast")),
    ):
        with pytest.raises(NotFound, match="no asset 'nope'"):
            ask()
