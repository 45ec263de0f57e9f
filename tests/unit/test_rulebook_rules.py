"""What is decided about books: their text, furniture, contents, paragraphs, chunks and graph."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.books import BookFacts, BookFormat, Line, OutlineEntry, Page, Role
from filmgate.core.plan import Producer
from filmgate.core.rulebook import (
    Chunk,
    ChunkKind,
    Edition,
    Editions,
    Enriched,
    Graph,
    Method,
    Toc,
    edition_of,
)
from filmgate.pipelines.rulebook.rules.changes import Printing, cleanup
from filmgate.pipelines.rulebook.rules.chunking import chunks
from filmgate.pipelines.rulebook.rules.contents import contents
from filmgate.pipelines.rulebook.rules.linking import graph
from filmgate.pipelines.rulebook.rules.mentions import mentions, spellings
from filmgate.pipelines.rulebook.rules.page_headers import mark_page_headers
from filmgate.pipelines.rulebook.rules.sections import sections
from filmgate.pipelines.rulebook.rules.terms import dictionary, kind_named, singular
from filmgate.pipelines.rulebook.rules.text import cleaned, folded, joined, key
from filmgate.tools.books.parting import Range, chapters, parting
from filmgate.tools.term_finder import AhoCorasick
from filmgate.tools.words import names_in, spelling, words

BODY, LARGE, LARGER = 10.0, 14.0, 20.0


def page(number: int, *lines: tuple[str, float], foot: str = "", across: float = 200.0) -> Page:
    """A page of one column; each line (text, size) below the one before, a foot at its end."""
    made, start, y = [], 0, 80.0
    for text, size in lines:
        box = (50.0, y, 50.0 + min(across, 6.0 * len(text)), y + size)
        made.append(Line(start=start, text=text, box=box, size=size, font="Serif"))
        start += len(text) + 2
        y += size * 1.2
    if foot:
        box = (50.0, 770.0, 100.0, 780.0)
        made.append(Line(start=start, text=foot, box=box, size=BODY, font="Serif"))
    return Page(page=number, size=(400.0, 800.0), lines=tuple(made))


def book(pages: list[Page], *outline: tuple[int, str, int]) -> tuple[Toc, list[Page]]:
    """What pass A makes of pages."""
    marked = mark_page_headers(pages).pages
    facts = BookFacts(
        format=BookFormat.PDF,
        pages=len(pages),
        outline=tuple(OutlineEntry(level=v, title=t, page=p) for v, t, p in outline),
    )
    found = contents(facts, marked)
    listed, unlisted = sections("book", found, marked)
    toc = Toc(
        source_id="0" * 64,
        book_id="book",
        file="book.pdf",
        format=BookFormat.PDF,
        title="Book",
        pages=len(pages),
        reader=Producer(name="test", version="1"),
        contents=found.method,
        licence=None,
        attribution=None,
        sections=listed,
        unlisted=unlisted,
        dictionary=dictionary((*listed, *unlisted)),
        remarks=(),
    )
    return toc, marked


def enriched(toc: Toc, made: list[Chunk]) -> list[Enriched]:
    known = spellings(toc.dictionary)
    finder = AhoCorasick(known)
    return [
        Enriched(
            chunk_id=each.chunk_id,
            source_id=each.source_id,
            normalized=folded(each.text),
            norm_ops=(),
            entities=mentions(each.text, folded(each.text), finder, known),
            keywords=(),
        )
        for each in made
    ]


def test_text_is_what_people_mean_and_not_what_typesetters_set() -> None:
    assert cleaned("System\t\r \xa0Reference\t\r \xa0Document") == "System Reference Document"
    assert cleaned("3rd-\xad\u2010\u2011level") == "3rd-level"
    assert cleaned("adipisc\ufffeing") == "adipiscing"
    assert cleaned("e\xadlision") == "elision"
    assert cleaned("of\ufb01ce \u2011 well\u2010known") == "office - well-known"
    assert joined(["a long line of a para-", "graph that goes on"]) == (
        "a long line of a para-graph that goes on"
    )
    assert joined(["it is hy\xad", "phenated"]) == "it is hyphenated"


@given(st.text())
def test_cleaned_text_is_clean_and_stays_so(raw: str) -> None:
    text = cleaned(raw)
    assert cleaned(text) == text
    assert not set(text) & set("\xad\u2010\u2011\ufffe\t\r\n\x00")
    assert "  " not in text


def test_what_repeats_in_margins_is_furniture_and_its_numbers_are_the_pages() -> None:
    pages = [
        page(n, (f"Chapter {n}", LARGER), ("Some text.", BODY), foot=f"The Weir {n + 4}")
        for n in range(1, 6)
    ]
    marked = mark_page_headers(pages).pages
    assert [each.label for each in marked] == ["5", "6", "7", "8", "9"]
    roles = [[line.role for line in each.lines] for each in marked]
    assert roles == [[Role.TEXT, Role.TEXT, Role.FURNITURE]] * 5


def margins(number: int, *, top: str = "", bottom: str = "", text: str = "Some text.") -> Page:
    """A page with lines in its margins, set apart from the text."""
    made = page(number, (text, BODY), ("It goes on below.", BODY), ("And ends.", BODY), foot=bottom)
    if not top:
        return made
    head = Line(start=900, text=top, box=(50.0, 20.0, 150.0, 30.0), size=BODY, font="Serif")
    return made.model_copy(update={"lines": (head, *made.lines)})


def left_out_of(pages: list[Page]) -> set[str]:
    marked = mark_page_headers(pages).pages
    return {line.text for each in marked for line in each.lines if line.role is Role.FURNITURE}


@pytest.mark.parametrize(
    "number",
    ["{n}", "- {n} -", "Page {n}", "p. {n}", "{n} / 9", "The Weir {n}", "{n} | Weir", "Weir • {n}"],
)
def test_page_numbers_in_sequence_are_no_text(number: str) -> None:
    pages = [margins(n, bottom=number.format(n=n + 4)) for n in range(1, 10)]
    assert len(left_out_of(pages)) == 9
    assert [each.label for each in mark_page_headers(pages).pages] == [
        str(n + 4) for n in range(1, 10)
    ]


@pytest.mark.parametrize(
    "field",
    [
        "Armor Class {}",
        "Range {} feet, Duration 3 rounds",
        "Level {} evocation",
        "Challenge {}",
        "{}d6 fire damage",
        "Cost: {} gp",
        "{}",
        "{} %",
    ],
)
def test_numbers_that_differ_are_text_unless_they_count_on_with_the_pages(field: str) -> None:
    for values in ([14, 11, 14, 12, 14, 16, 14, 9], [3, 3, 3, 3, 4, 4, 4, 5]):
        pages = [margins(n, top=field.format(v)) for n, v in enumerate(values, start=1)]
        assert left_out_of(pages) == set()


def test_a_number_glued_to_a_word_or_beside_a_single_one_is_text_even_in_sequence() -> None:
    for field in ("{}th-level evocation", "Challenge {}", "Challenge {} ({}00 XP)"):
        pages = [margins(n, top=field.format(n, n)) for n in range(1, 13)]
        assert left_out_of(pages) == set()


def test_a_chapters_name_beside_a_page_number_is_no_text_where_chapters_count_alike() -> None:
    names = ["Spells"] * 5 + ["Feats"] * 5 + ["Monsters"] * 5
    pages = [margins(n, top=f"{name} {n + 20}") for n, name in enumerate(names, start=1)]
    assert len(left_out_of(pages)) == 15


def test_a_running_head_is_no_text_and_may_change_with_the_chapter() -> None:
    heads = ["Chapter 3: Combat"] * 4 + ["Chapter 4: Combat"] * 4 + ["The Weir"] * 4
    pages = [margins(n, top=head) for n, head in enumerate(heads, start=1)]
    assert left_out_of(pages) == set(heads)
    assert mark_page_headers(pages).left_out == [
        ("Chapter 3: Combat", 4),
        ("Chapter 4: Combat", 4),
        ("The Weir", 4),
    ]


def test_a_head_on_every_second_page_is_no_text_and_words_on_scattered_pages_are() -> None:
    pages = [margins(n, top="The Weir" if n % 2 else "") for n in range(1, 12)]
    assert left_out_of(pages) == {"The Weir"}
    pages = [margins(n, top="Cantrip" if n % 4 == 1 else "") for n in range(1, 12)]
    assert left_out_of(pages) == set()


def test_the_head_of_a_table_that_runs_on_is_text_on_every_page() -> None:
    rows = [("Treasure Value", BODY), *[(f"Gem {k} gp", BODY) for k in range(30)]]
    pages = []
    for number in range(1, 5):
        made = page(number, *rows)
        moved = [
            line._replace(box=(line.box[0], line.box[1] - 60, line.box[2], line.box[3] - 60))
            for line in made.lines
            if line.box is not None
        ]
        pages.append(made.model_copy(update={"lines": tuple(moved)}))
    assert pages[0].lines[0].box == (50.0, 20.0, 134.0, 30.0)
    assert left_out_of(pages) == set()


@given(st.lists(st.integers(0, 999), min_size=3, max_size=20), st.sampled_from(["HP {}", "{}"]))
def test_no_number_is_left_out_that_does_not_count_on_with_its_neighbours(
    values: list[int], field: str
) -> None:
    pages = [margins(n, bottom=field.format(v)) for n, v in enumerate(values, start=1)]
    for each in mark_page_headers(pages).pages:
        if any(line.role is Role.FURNITURE for line in each.lines):
            own = values[each.page - 1]
            near = [
                values[other - 1]
                for other in (each.page - 2, each.page - 1, each.page + 1, each.page + 2)
                if 1 <= other <= len(values)
            ]
            is_counting = any(abs(own - other) in {1, 2} for other in near)
            assert is_counting or near.count(own) + values.count(own) >= 3


def test_an_outline_is_held_against_its_pages_and_typos_are_told() -> None:
    pages = [
        page(1, ("Spells", LARGER), ("Lightning Bolt", LARGE), ("A stroke of light.", BODY)),
        page(2, ("Kindle", LARGE), ("You light a lantern.", BODY)),
    ]
    toc, _ = book(
        pages,
        (0, "Spells", 1),
        (1, "Lighning Bolt", 1),
        (1, "Table: Kindle", 2),
        (1, "Nowhere at All", 2),
    )
    assert toc.contents is Method.OUTLINE
    found = {each.title: each for each in toc.sections}
    assert found["Spells"].confidence == 1.0
    assert found["Spells"].page_end == 2
    bolt = found["Lighning Bolt"]
    assert (bolt.printed, bolt.confidence < 1) == ("Lightning Bolt", True)
    assert found["Table: Kindle"].printed == "Kindle"
    lost = found["Nowhere at All"]
    assert lost.place is None
    assert "does not stand on its page" in lost.evidence


def test_headings_are_found_by_their_looks_where_there_is_no_outline() -> None:
    pages = [
        page(
            n,
            (f"Part {'ABC'[n - 1]}", LARGER),
            ("The first half of a long", LARGE),
            ("heading over two lines", LARGE),
            *[(f"Body text number {k} goes on and on.", BODY) for k in range(9)],
        )
        for n in range(1, 4)
    ]
    toc, _ = book(pages)
    assert toc.contents is Method.FONT_STYLE
    assert [(each.level, each.title) for each in toc.sections[:2]] == [
        (1, "Part A"),
        (2, "The first half of a long heading over two lines"),
    ]


def test_a_printed_table_of_contents_is_read_by_printed_numbers() -> None:
    names = ["Weirs", "Gates", "Lamps", "Boats", "Ropes", "Eels"]
    front = page(1, *[(f"{name} ........ {n + 10}", BODY) for n, name in enumerate(names)])
    body = [
        page(n + 2, (name, BODY), ("Text about it goes on.", BODY), foot=f"Weir {n + 10}")
        for n, name in enumerate(names)
    ]
    toc, _ = book([front, *body])
    assert toc.contents is Method.PRINTED_CONTENTS
    assert [(each.title, each.page_start) for each in toc.sections] == [
        (name, n + 2) for n, name in enumerate(names)
    ]


WORDS = st.lists(st.sampled_from(["gate", "weir", "lamp", "eel", "water", "ten."]), min_size=1)
LINES = st.lists(
    st.tuples(WORDS.map(" ".join), st.sampled_from([BODY, BODY, BODY, LARGE, LARGER])), max_size=12
)


@given(st.lists(LINES, min_size=1, max_size=4))
def test_every_character_is_in_one_chunk_or_skipped_for_a_reason(text: list[Any]) -> None:
    pages = [page(n, *lines, foot=f"Weir {n}") for n, lines in enumerate(text, start=1)]
    toc, marked = book(pages)
    made, account = chunks(toc, marked, {})
    assert account.in_chunks + account.in_skipped == account.characters
    places = Counter(
        (span.page, place)
        for each in made
        if each.kind is not ChunkKind.ROW
        for span in each.spans
        for place in range(span.char_start, span.char_end)
    )
    assert all(count == 1 for count in places.values())
    for each in marked:
        for line in each.lines:
            inside = all((each.page, n) in places for n in range(line.start, line.end))
            assert inside is (line.role is not Role.FURNITURE)
    assert len({each.chunk_id for each in made}) == len(made)


def test_a_sentence_that_is_added_makes_one_chunk_stale_and_no_other() -> None:
    def ids(told: list[str]) -> set[str]:
        lines = [(text, BODY) for text in told]
        pages = [page(1, ("One", LARGER), *lines[:40]), page(2, *lines[40:])]
        return {each.chunk_id for each in chunks(*book(pages), {})[0]}

    text = [f"Sentence {n} of a long chapter tells of weirs and of gates." for n in range(90)]
    stale = []
    for where in range(90):
        longer = [*text[:where], "A new sentence stands here.", *text[where:]]
        stale.append(len(ids(text) - ids(longer)))
    assert len(ids(text)) > 5
    assert Counter(stale).most_common(1)[0][0] == 1
    assert max(stale) <= 3


def test_tables_have_rows_with_their_head_that_go_on_behind_a_page_break() -> None:
    def rows(number: int, *texts: str, head: str = "") -> Page:
        made = page(number, *[(text, BODY) for text in ([head] if head else []) + list(texts)])
        fonts = ["Sans-Bold" if line.text == head else "Sans" for line in made.lines]
        lines = [
            line._replace(role=Role.ROW, font=font)
            for line, font in zip(made.lines, fonts, strict=True)
        ]
        return made.model_copy(update={"lines": tuple(lines)})

    pages = [
        rows(1, "Lantern 7", "Rope 2", "Oil 1", head="Item Price"),
        rows(2, "Coat 12", "Bell 60", "Boathook 4"),
    ]
    made, _ = chunks(*book(pages), {})
    found = [each.text for each in made if each.kind is ChunkKind.ROW]
    assert found[0] == "Item Price\nLantern 7"
    assert found[-1] == "Item Price\nBoathook 4"
    assert all(
        each.view_of in {e.chunk_id for e in made if e.kind is ChunkKind.TABLE}
        for each in made
        if each.kind is ChunkKind.ROW
    )


def titled(*names: str) -> list[tuple[str, float]]:
    """A heading each, with a sentence below it."""
    told = ("They are known to all who live by the weir.", BODY)
    return [line for name in names for line in ((name, LARGE), told)]


SPELL_BOOK = [
    page(
        1,
        ("Callings", LARGER),
        *titled("Diver", "Keeper", "Lamplighter"),
        ("Lists", LARGER),
        ("Keeper Spells", LARGE),
        ("Calm Water", BODY),
        ("Cold Flame", BODY),
        ("No Such Thing", BODY),
        ("Lamplighter Spells", LARGE),
        ("Cold Flame", BODY),
        ("Kindle", BODY),
    ),
    page(
        2,
        ("Spell Descriptions", LARGER),
        ("Calm Water", LARGE),
        ("The water lies still. See Kindle for another spell of the weir.", BODY),
        ("Cold Flame", LARGE),
        ("A flame without heat burns, and Calm Water does not put it out.", BODY),
        ("Kindle", LARGE),
        ("You light a lantern, and see Missing Page for more of that.", BODY),
    ),
]


def test_lists_belong_to_whom_their_title_names_and_every_edge_says_by_which_rule() -> None:
    toc, marked = book(SPELL_BOOK)
    made, _ = chunks(toc, marked, {})
    found = graph(toc, made, enriched(toc, made))
    names = {each.node_id: each.name for each in found.nodes}
    listed = {(names[e.src], names[e.dst]) for e in found.edges if e.type == "lists"}
    assert listed == {
        ("Keeper", "Calm Water"),
        ("Keeper", "Cold Flame"),
        ("Lamplighter", "Cold Flame"),
        ("Lamplighter", "Kindle"),
    }
    said = {(names[e.src], names[e.dst]) for e in found.edges if e.type == "refers to"}
    assert said == {("Calm Water", "Kindle")}
    mentioned = {(names[e.src], names[e.dst]) for e in found.edges if e.type == "mentions"}
    assert ("Cold Flame", "Calm Water") in mentioned
    assert {(each.rule, each.text) for each in found.unresolved} == {
        ("list entry", "No Such Thing"),
        ("see reference", "see Missing Page"),
    }
    ids = {each.chunk_id for each in made}
    assert all(set(e.chunk_ids) <= ids and e.page and e.rule and e.evidence for e in found.edges)


def test_kinds_are_named_by_the_title_above() -> None:
    assert kind_named("Spell Descriptions") == "spell"
    assert kind_named("Magic Items A-Z") == "magic item"
    assert kind_named("Monsters (A-Z)") == "monster"
    assert kind_named("Appendix PH-A: Conditions") == "condition"
    assert [singular(w) for w in ("classes", "deities", "weapons", "bonus", "boxes")] == [
        "class",
        "deity",
        "weapon",
        "bonus",
        "box",
    ]


def test_a_common_word_is_a_term_only_in_capitals() -> None:
    toc, _ = book([page(1, ("Spells", LARGER), *titled("Light", "Sleep", "Cold Flame"))])
    known = spellings(toc.dictionary)
    text = "By light they sleep, until Light and a cold flame wake them."
    found = mentions(text, folded(text), AhoCorasick(known), known)
    assert [text[e.start : e.end] for e in found] == ["Light", "cold flame"]


def test_an_erratum_is_told_against_the_last_printing_that_differs() -> None:
    def printing(first: str) -> Printing:
        toc, marked = book(
            [
                page(
                    1,
                    ("One", LARGER),
                    (first, BODY),
                    ("Two", LARGER),
                    ("It stays as it was.", BODY),
                )
            ]
        )
        made, _ = chunks(toc, marked, {})
        return Printing(toc.source_id, "book", tuple(made), graph(toc, made, enriched(toc, made)))

    def edition(p: Printing) -> Edition:
        return edition_of(p.chunks, p.graph.nodes, p.graph.edges)

    old, new = (
        printing("Ten marks, and the gate gives way."),
        printing("Twelve marks, and it does."),
    )
    first = cleanup([old], None, ())
    assert (first.added, first.kept, first.stale_deleted) == (2, 0, 0)
    known = Editions(env="dev", books={"book": (edition(old),)})
    assert cleanup([old], known, ()) == first
    told = cleanup([new], known, ())
    assert (told.added, told.kept, told.changed, told.stale_deleted) == (0, 1, 1, 1)
    assert [each.reason for each in told.stale] == ["changed"]
    after = Editions(env="dev", books={"book": (edition(new), edition(old))})
    assert cleanup([new], after, ()) == told
    shorter = replace_chunks(new, new.chunks[1:])
    assert cleanup([shorter], after, ()).stale[0].reason == "gone"


def replace_chunks(printing: Printing, made: tuple[Chunk, ...]) -> Printing:
    kept = {each.chunk_id for each in made}
    nodes = tuple(n for n in printing.graph.nodes if set(n.chunk_ids) <= kept)
    ids = {n.node_id for n in nodes}
    edges = tuple(e for e in printing.graph.edges if {e.src, e.dst} <= ids)
    return printing._replace(chunks=made, graph=Graph(nodes=nodes, edges=edges, unresolved=()))


@given(
    st.lists(st.integers(1, 40), max_size=6),
    st.integers(1, 40),
    st.integers(1, 2000),
)
def test_parts_have_every_page_once_and_stay_within_the_limit(
    starts: list[int], pages: int, limit: int
) -> None:
    made = list(
        parting(chapters(starts, pages), lambda r: bytes(100 * (r.last - r.first + 1)), limit)
    )
    covered = [n for each, _ in made for n in range(each.first, each.last + 1)]
    assert covered == list(range(1, pages + 1))
    assert all(len(data) <= limit or each.first == each.last for each, data in made)
    assert all(isinstance(each, Range) for each, _ in made)


def test_words_are_the_same_for_what_is_stored_and_what_is_asked() -> None:
    assert words("Which classes get Fireball at 3rd level?") == ["class", "firebal", "3rd", "level"]
    assert words("The creature’s saving throws") == words("a creature's saving throw")
    assert words("2d6 + 3") == words("2d6 + 3")
    assert names_in("What does the bag of holding hold?")[spelling("Bag of Holding")] == [(3, 6)]
    assert key("Melf’s Acid-Arrow") == key("Melf's acid arrow")
