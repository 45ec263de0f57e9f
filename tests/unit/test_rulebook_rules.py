"""Rules of books: text, page headers, tables of contents, paragraphs, chunks and graph."""

import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.books import BookFacts, BookFormat, Line, OutlineEntry, Page, Role
from filmgate.core.plan import Producer
from filmgate.pipelines.rulebook.contracts import (
    Chunk,
    ChunkKind,
    Edition,
    Editions,
    Enriched,
    Graph,
    Method,
    Toc,
    make_edition,
)
from filmgate.pipelines.rulebook.rules.changes import Printing, compare_printings
from filmgate.pipelines.rulebook.rules.chunking import chunk_book
from filmgate.pipelines.rulebook.rules.contents import find_contents
from filmgate.pipelines.rulebook.rules.linking import build_graph
from filmgate.pipelines.rulebook.rules.mentions import find_mentions, index_spellings
from filmgate.pipelines.rulebook.rules.page_headers import mark_page_headers
from filmgate.pipelines.rulebook.rules.sections import build_sections
from filmgate.pipelines.rulebook.rules.terms import build_dictionary, kind_from_title, to_singular
from filmgate.pipelines.rulebook.rules.text import clean_text, fold_text, join_lines, match_key
from filmgate.tools.books.page_ranges import PageRange, chapter_ranges, split_by_size
from filmgate.tools.term_finder import AhoCorasick
from filmgate.tools.words import name_candidates, normalise_name, words

BODY, LARGE, LARGER = 10.0, 14.0, 20.0


def page(number: int, *lines: tuple[str, float], foot: str = "", across: float = 200.0) -> Page:
    """Make a page of one column from (text, size) of its lines, with a footer."""
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
    """Read pages as pass A does."""
    marked = mark_page_headers(pages).pages
    facts = BookFacts(
        format=BookFormat.PDF,
        pages=len(pages),
        outline=tuple(OutlineEntry(level=v, title=t, page=p) for v, t, p in outline),
    )
    found = find_contents(facts, marked)
    listed, unlisted = build_sections("book", found, marked)
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
        dictionary=build_dictionary((*listed, *unlisted)),
        remarks=(),
    )
    return toc, marked


def enrich(toc: Toc, chunk_list: list[Chunk]) -> list[Enriched]:
    known = index_spellings(toc.dictionary)
    finder = AhoCorasick(known)
    return [
        Enriched(
            chunk_id=chunk.chunk_id,
            source_id=chunk.source_id,
            normalized=fold_text(chunk.text),
            norm_ops=(),
            entities=find_mentions(chunk.text, fold_text(chunk.text), finder, known),
            keywords=(),
        )
        for chunk in chunk_list
    ]


def test_clean_text_removes_soft_hyphens_ligatures_and_extra_spaces() -> None:
    assert clean_text("System\t\r \xa0Reference\t\r \xa0Document") == "System Reference Document"
    assert clean_text("3rd-\xad\u2010\u2011level") == "3rd-level"
    assert clean_text("adipisc\ufffeing") == "adipiscing"
    assert clean_text("e\xadlision") == "elision"
    assert clean_text("of\ufb01ce \u2011 well\u2010known") == "office - well-known"
    assert join_lines(["a long line of a para-", "graph that goes on"]) == (
        "a long line of a para-graph that goes on"
    )
    assert join_lines(["it is hy\xad", "phenated"]) == "it is hyphenated"


@given(st.text())
def test_cleaning_is_complete_and_idempotent(raw: str) -> None:
    text = clean_text(raw)
    assert clean_text(text) == text
    assert not set(text) & set("\xad\u2010\u2011\ufffe\t\r\n\x00")
    assert "  " not in text


def test_repeated_footers_are_marked_and_their_numbers_become_page_labels() -> None:
    pages = [
        page(n, (f"Chapter {n}", LARGER), ("Some text.", BODY), foot=f"The Weir {n + 4}")
        for n in range(1, 6)
    ]
    marked = mark_page_headers(pages).pages
    assert [each.label for each in marked] == ["5", "6", "7", "8", "9"]
    roles = [[line.role for line in each.lines] for each in marked]
    assert roles == [[Role.TEXT, Role.TEXT, Role.PAGE_HEADER]] * 5


def margins(number: int, *, top: str = "", bottom: str = "", text: str = "Some text.") -> Page:
    """Make a page with lines in its margins that are separated from the text."""
    lines = [(text, BODY), ("It goes on below.", BODY), ("And ends.", BODY)]
    without_top = page(number, *lines, foot=bottom)
    if not top:
        return without_top
    header = Line(start=900, text=top, box=(50.0, 20.0, 150.0, 30.0), size=BODY, font="Serif")
    return without_top.model_copy(update={"lines": (header, *without_top.lines)})


def find_left_out(pages: list[Page]) -> set[str]:
    marked = mark_page_headers(pages).pages
    return {line.text for page in marked for line in page.lines if line.role is Role.PAGE_HEADER}


@pytest.mark.parametrize(
    "number",
    ["{n}", "- {n} -", "Page {n}", "p. {n}", "{n} / 9", "The Weir {n}", "{n} | Weir", "Weir • {n}"],
)
def test_page_numbers_in_sequence_are_not_text(number: str) -> None:
    pages = [margins(n, bottom=number.format(n=n + 4)) for n in range(1, 10)]
    assert len(find_left_out(pages)) == 9
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
def test_differing_numbers_are_text_unless_they_increase_with_the_pages(field: str) -> None:
    for values in ([14, 11, 14, 12, 14, 16, 14, 9], [3, 3, 3, 3, 4, 4, 4, 5]):
        pages = [margins(n, top=field.format(v)) for n, v in enumerate(values, start=1)]
        assert find_left_out(pages) == set()


def test_a_number_in_or_beside_a_single_word_is_text_even_in_sequence() -> None:
    for field in ("{}th-level evocation", "Challenge {}", "Challenge {} ({}00 XP)"):
        pages = [margins(n, top=field.format(n, n)) for n in range(1, 13)]
        assert find_left_out(pages) == set()


def test_chapter_names_beside_page_numbers_of_one_sequence_are_not_text() -> None:
    names = ["Spells"] * 5 + ["Feats"] * 5 + ["Monsters"] * 5
    pages = [margins(n, top=f"{name} {n + 20}") for n, name in enumerate(names, start=1)]
    assert len(find_left_out(pages)) == 15


@pytest.mark.parametrize(
    "rule",
    [
        "Save DC {}",
        "Hit dice: {}",
        "Spell slot level {}",
        "{} nothing happens",
        "See page {}, table",
    ],
)
def test_a_number_that_differs_from_the_page_number_of_its_page_is_text(rule: str) -> None:
    pages = [margins(n, top=rule.format(n), bottom=str(n + 4)) for n in range(1, 11)]
    assert find_left_out(pages) == {str(n + 4) for n in range(1, 11)}
    assert [each.label for each in mark_page_headers(pages).pages] == [
        str(n + 4) for n in range(1, 11)
    ]


def test_a_running_head_is_not_text_and_may_change_with_the_chapter() -> None:
    heads = ["Chapter 3: Combat"] * 4 + ["Chapter 4: Combat"] * 4 + ["The Weir"] * 4
    pages = [margins(n, top=head) for n, head in enumerate(heads, start=1)]
    assert find_left_out(pages) == set(heads)
    assert mark_page_headers(pages).left_out == [
        ("Chapter 3: Combat", 4),
        ("Chapter 4: Combat", 4),
        ("The Weir", 4),
    ]


def test_a_header_on_every_second_page_is_not_text_but_words_on_scattered_pages_are() -> None:
    pages = [margins(n, top="The Weir" if n % 2 else "") for n in range(1, 12)]
    assert find_left_out(pages) == {"The Weir"}
    pages = [margins(n, top="Cantrip" if n % 4 == 1 else "") for n in range(1, 12)]
    assert find_left_out(pages) == set()


@pytest.mark.parametrize("across", [(50.0, 50.0), (50.0, 300.0)], ids=["overprinted", "two sides"])
def test_a_page_number_that_is_printed_twice_is_not_text(across: tuple[float, float]) -> None:
    pages = []
    for number in range(1, 8):
        made = margins(number)
        twice = [
            Line(start=900 + n, text=str(number), box=(x, 770.0, x + 10, 780.0), size=BODY)
            for n, x in enumerate(across)
        ]
        pages.append(made.model_copy(update={"lines": (*made.lines, *twice)}))
    marked = mark_page_headers(pages)
    assert [each.label for each in marked.pages] == [str(n) for n in range(1, 8)]
    assert marked.left_out == [("#", 7)]
    assert all(
        sum(line.role is Role.PAGE_HEADER for line in each.lines) == 2 for each in marked.pages
    )


def test_a_page_number_beside_the_number_of_pages_is_listed_once() -> None:
    pages = [margins(n, bottom=f"My Book {n} of 10") for n in range(1, 11)]
    assert mark_page_headers(pages).left_out == [("My Book # of 10", 10)]


def test_a_large_title_on_both_pages_of_a_handout_is_text() -> None:
    pages = [margins(n, top="Goblin Ambush") for n in (1, 2)]
    large = [
        each.model_copy(update={"lines": (each.lines[0]._replace(size=LARGER), *each.lines[1:])})
        for each in pages
    ]
    assert find_left_out(large) == set()
    assert find_left_out(pages) == {"Goblin Ambush"}


def test_a_page_whose_whole_text_is_in_its_margin_is_read_in_reasonable_time() -> None:
    lines = [
        Line(start=n * 50, text=f"line {n}", box=(50.0, n * 1.4, 200.0, n * 1.4 + 1.2), size=1.2)
        for n in range(800)
    ]
    poster = Page(page=1, size=(600.0, 14400.0), lines=tuple(lines))
    compared = 0

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal compared
        compared += event == "call" and frame.f_code.co_name == "_overlap"

    sys.setprofile(count)
    try:
        assert find_left_out([poster]) == set()
    finally:
        sys.setprofile(None)
    assert compared <= 2 * 800 * 800


def test_the_header_of_a_table_over_several_pages_is_text_on_every_page() -> None:
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
    assert find_left_out(pages) == set()


@given(st.lists(st.integers(0, 999), min_size=3, max_size=20), st.sampled_from(["HP {}", "{}"]))
def test_a_number_is_left_out_only_if_it_increases_with_its_neighbours(
    values: list[int], field: str
) -> None:
    pages = [margins(n, bottom=field.format(v)) for n, v in enumerate(values, start=1)]
    for each in mark_page_headers(pages).pages:
        if any(line.role is Role.PAGE_HEADER for line in each.lines):
            own = values[each.page - 1]
            near = [
                values[other - 1]
                for other in (each.page - 2, each.page - 1, each.page + 1, each.page + 2)
                if 1 <= other <= len(values)
            ]
            is_counting = any(abs(own - other) in {1, 2} for other in near)
            assert is_counting or near.count(own) + values.count(own) >= 3


def test_an_outline_is_checked_against_its_pages_and_misspellings_are_reported() -> None:
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
    found = {section.title: section for section in toc.sections}
    assert found["Spells"].confidence == 1.0
    assert found["Spells"].page_end == 2
    bolt = found["Lighning Bolt"]
    assert (bolt.printed, bolt.confidence < 1) == ("Lightning Bolt", True)
    assert found["Table: Kindle"].printed == "Kindle"
    lost = found["Nowhere at All"]
    assert lost.place is None
    assert "not found on its page" in lost.evidence


def test_headings_are_found_by_their_style_if_there_is_no_outline() -> None:
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
    assert [(section.level, section.title) for section in toc.sections[:2]] == [
        (1, "Part A"),
        (2, "The first half of a long heading over two lines"),
    ]


def test_a_printed_table_of_contents_is_resolved_by_printed_page_numbers() -> None:
    names = ["Weirs", "Gates", "Lamps", "Boats", "Ropes", "Eels"]
    front = page(1, *[(f"{name} ........ {n + 10}", BODY) for n, name in enumerate(names)])
    body = [
        page(n + 2, (name, BODY), ("Text about it goes on.", BODY), foot=f"Weir {n + 10}")
        for n, name in enumerate(names)
    ]
    toc, _ = book([front, *body])
    assert toc.contents is Method.PRINTED_CONTENTS
    assert [(section.title, section.page_start) for section in toc.sections] == [
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
    chunks, account = chunk_book(toc, marked, {})
    assert account.in_chunks + account.in_skipped == account.characters
    places = Counter(
        (span.page, place)
        for chunk in chunks
        if chunk.kind is not ChunkKind.ROW
        for span in chunk.spans
        for place in range(span.char_start, span.char_end)
    )
    assert all(count == 1 for count in places.values())
    for each in marked:
        for line in each.lines:
            inside = all((each.page, n) in places for n in range(line.start, line.end))
            assert inside is (line.role is not Role.PAGE_HEADER)
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)


def test_an_added_sentence_makes_one_chunk_stale() -> None:
    def ids(sentences: list[str]) -> set[str]:
        lines = [(text, BODY) for text in sentences]
        pages = [page(1, ("One", LARGER), *lines[:40]), page(2, *lines[40:])]
        return {chunk.chunk_id for chunk in chunk_book(*book(pages), {})[0]}

    text = [f"Sentence {n} of a long chapter tells of weirs and of gates." for n in range(90)]
    stale = []
    for where in range(90):
        longer = [*text[:where], "A new sentence stands here.", *text[where:]]
        stale.append(len(ids(text) - ids(longer)))
    assert len(ids(text)) > 5
    assert Counter(stale).most_common(1)[0][0] == 1
    assert max(stale) <= 3


def test_rows_have_the_header_of_their_table_also_after_a_page_break() -> None:
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
    chunks, _ = chunk_book(*book(pages), {})
    found = [chunk.text for chunk in chunks if chunk.kind is ChunkKind.ROW]
    assert found[0] == "Item Price\nLantern 7"
    assert found[-1] == "Item Price\nBoathook 4"
    assert all(
        chunk.view_of in {e.chunk_id for e in chunks if e.kind is ChunkKind.TABLE}
        for chunk in chunks
        if chunk.kind is ChunkKind.ROW
    )


def titled(*names: str) -> list[tuple[str, float]]:
    """Make a heading of each name, with a sentence below it."""
    sentence = ("They are known to all who live by the weir.", BODY)
    return [line for name in names for line in ((name, LARGE), sentence)]


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


def test_lists_belong_to_the_term_in_their_title_and_every_edge_has_a_rule() -> None:
    toc, marked = book(SPELL_BOOK)
    chunks, _ = chunk_book(toc, marked, {})
    found = build_graph(toc, chunks, enrich(toc, chunks))
    names = {node.node_id: node.name for node in found.nodes}
    listed = {(names[e.src], names[e.dst]) for e in found.edges if e.type == "lists"}
    assert listed == {
        ("Keeper", "Calm Water"),
        ("Keeper", "Cold Flame"),
        ("Lamplighter", "Cold Flame"),
        ("Lamplighter", "Kindle"),
    }
    referred = {(names[e.src], names[e.dst]) for e in found.edges if e.type == "refers to"}
    assert referred == {("Calm Water", "Kindle")}
    mentioned = {(names[e.src], names[e.dst]) for e in found.edges if e.type == "mentions"}
    assert ("Cold Flame", "Calm Water") in mentioned
    assert {(reference.rule, reference.text) for reference in found.unresolved} == {
        ("list entry", "No Such Thing"),
        ("see reference", "see Missing Page"),
    }
    ids = {chunk.chunk_id for chunk in chunks}
    assert all(set(e.chunk_ids) <= ids and e.page and e.rule and e.evidence for e in found.edges)


def test_the_kind_of_terms_follows_from_the_title_above() -> None:
    assert kind_from_title("Spell Descriptions") == "spell"
    assert kind_from_title("Magic Items A-Z") == "magic item"
    assert kind_from_title("Monsters (A-Z)") == "monster"
    assert kind_from_title("Appendix PH-A: Conditions") == "condition"
    assert [to_singular(w) for w in ("classes", "deities", "weapons", "bonus", "boxes")] == [
        "class",
        "deity",
        "weapon",
        "bonus",
        "box",
    ]


def test_a_common_word_is_a_term_only_if_capitalised() -> None:
    toc, _ = book([page(1, ("Spells", LARGER), *titled("Light", "Sleep", "Cold Flame"))])
    known = index_spellings(toc.dictionary)
    text = "By light they sleep, until Light and a cold flame wake them."
    found = find_mentions(text, fold_text(text), AhoCorasick(known), known)
    assert [text[e.start : e.end] for e in found] == ["Light", "cold flame"]


def test_an_erratum_is_compared_with_the_latest_printing_that_differs() -> None:
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
        chunks, _ = chunk_book(toc, marked, {})
        return Printing(
            toc.source_id, "book", tuple(chunks), build_graph(toc, chunks, enrich(toc, chunks))
        )

    def edition(p: Printing) -> Edition:
        return make_edition(p.chunks, p.graph.nodes, p.graph.edges)

    old, new = (
        printing("Ten marks, and the gate gives way."),
        printing("Twelve marks, and it does."),
    )
    first = compare_printings([old], None, ())
    assert (first.added, first.kept, first.stale_deleted) == (2, 0, 0)
    known = Editions(env="dev", books={"book": (edition(old),)})
    assert compare_printings([old], known, ()) == first
    second = compare_printings([new], known, ())
    assert (second.added, second.kept, second.changed, second.stale_deleted) == (0, 1, 1, 1)
    assert [stale.reason for stale in second.stale] == ["changed"]
    after = Editions(env="dev", books={"book": (edition(new), edition(old))})
    assert compare_printings([new], after, ()) == second
    shorter = replace_chunks(new, new.chunks[1:])
    assert compare_printings([shorter], after, ()).stale[0].reason == "gone"


def replace_chunks(printing: Printing, chunks: tuple[Chunk, ...]) -> Printing:
    chunk_ids = {chunk.chunk_id for chunk in chunks}
    nodes = tuple(n for n in printing.graph.nodes if set(n.chunk_ids) <= chunk_ids)
    ids = {n.node_id for n in nodes}
    edges = tuple(e for e in printing.graph.edges if {e.src, e.dst} <= ids)
    return printing._replace(chunks=chunks, graph=Graph(nodes=nodes, edges=edges, unresolved=()))


@given(
    st.lists(st.integers(1, 40), max_size=6),
    st.integers(1, 40),
    st.integers(1, 2000),
)
def test_parts_contain_every_page_once_and_stay_within_the_limit(
    starts: list[int], pages: int, limit: int
) -> None:
    made = list(
        split_by_size(
            chapter_ranges(starts, pages), lambda r: bytes(100 * (r.last - r.first + 1)), limit
        )
    )
    covered = [n for each, _ in made for n in range(each.first, each.last + 1)]
    assert covered == list(range(1, pages + 1))
    assert all(len(data) <= limit or each.first == each.last for each, data in made)
    assert all(isinstance(each, PageRange) for each, _ in made)


def test_stored_text_and_questions_are_split_into_the_same_words() -> None:
    assert words("Which classes get Fireball at 3rd level?") == ["class", "firebal", "3rd", "level"]
    assert words("The creature’s saving throws") == words("a creature's saving throw")
    assert words("2d6 + 3") == words("2d6 + 3")
    assert name_candidates("What does the bag of holding hold?")[
        normalise_name("Bag of Holding")
    ] == [(3, 6)]
    assert match_key("Melf’s Acid-Arrow") == match_key("Melf's acid arrow")
