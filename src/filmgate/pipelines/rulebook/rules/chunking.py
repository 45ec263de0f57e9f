"""Split books into chunks. Every character is in one chunk, or is recorded as skipped."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from filmgate.core.books import NON_TEXT_ROLES, Box, Page, PageSpan
from filmgate.core.digest import sha256_hex
from filmgate.pipelines.rulebook.contracts import (
    Chunk,
    ChunkKind,
    ChunkMetadata,
    Coverage,
    Section,
    Toc,
)
from filmgate.pipelines.rulebook.rules.coverage import ChunkedRanges, measure_coverage
from filmgate.pipelines.rulebook.rules.paragraphs import (
    MAX_CHARACTERS,
    MIN_CHARACTERS,
    Paragraph,
    PlacedLine,
    Shape,
    find_paragraphs,
    is_cut_point,
    measure_typesetting,
)
from filmgate.pipelines.rulebook.rules.sections import build_breadcrumbs, make_short_id
from filmgate.pipelines.rulebook.rules.tables import split_table
from filmgate.pipelines.rulebook.rules.text import clean_text, fold_text, match_key

STATBLOCK = ("armor class", "hit points")
"""Phrases that occur in every stat block, which is the statistics of a creature."""


@dataclass(frozen=True)
class ChunkDraft:
    """Paragraphs that become one chunk."""

    kind: ChunkKind
    paragraphs: tuple[Paragraph, ...]

    @property
    def lines(self) -> tuple[PlacedLine, ...]:
        """The lines of all its paragraphs."""
        return tuple(line for paragraph in self.paragraphs for line in paragraph.lines)

    @cached_property
    def text(self) -> str:
        """The cleaned text, one paragraph per line."""
        return "\n".join(text for paragraph in self.paragraphs if (text := paragraph.text))


def chunk_book(
    toc: Toc, pages: Sequence[Page], parts: Mapping[int, str]
) -> tuple[list[Chunk], Coverage]:
    """Split a book into chunks, and count the characters in them.

    Chunks have the order of the text; the rows of a table come after it. `parts`: name of the part
    that contains each page, by page number; empty if the book was not split.
    """
    sections = [*toc.sections, *toc.unlisted]
    paths = build_breadcrumbs(sections)
    labels = {page.page: page.label for page in pages}
    builder = _ChunkBuilder(toc, paths, labels, parts)
    by_id = {section.section_id: section for section in sections}
    for section_id, drafts in _draft_chunks(by_id.values(), pages):
        for draft in drafts:
            builder.add(section_id, draft)
    return builder.linked_chunks(), measure_coverage(toc, pages, builder.chunked)


def _draft_chunks(
    sections: Iterable[Section], pages: Sequence[Page]
) -> Iterator[tuple[str | None, list[ChunkDraft]]]:
    """Yield (section id, drafts of its chunks).

    The heading of a section without text is put before the text of the next section.
    """
    typesetting = measure_typesetting(pages)
    headings: list[Paragraph] = []
    blocks = list(_split_at_headings(sections, pages))
    for section_id, heading, body in blocks:
        if heading:
            headings.append(Paragraph(Shape.HEADING, tuple(heading)))
        paragraphs = find_paragraphs(body, typesetting)
        if not paragraphs:
            continue
        yield section_id, _group_paragraphs([*headings, *paragraphs])
        headings = []
    if headings:
        yield blocks[-1][0], _group_paragraphs(headings)


def _split_at_headings(
    sections: Iterable[Section], pages: Sequence[Page]
) -> Iterator[tuple[str | None, list[PlacedLine], list[PlacedLine]]]:
    """Yield (section id, lines of its heading, lines of its text), in the order of the file."""
    starts: dict[tuple[int, int], Section] = {}
    for section in sections:
        if section.place is not None:
            starts.setdefault((section.place.page, section.place.line), section)
    section_id: str | None = None
    heading: list[PlacedLine] = []
    body: list[PlacedLine] = []
    heading_lines = 0
    for page in pages:
        for number, line in enumerate(page.lines):
            if line.role in NON_TEXT_ROLES or not line.text.strip():
                continue
            started = starts.get((page.page, number))
            if started is not None and started.place is not None:
                if heading or body:
                    yield section_id, heading, body
                section_id, heading, body = started.section_id, [], []
                heading_lines = started.place.lines if _is_alone(started, line.text) else 0
            if heading_lines:
                heading.append(PlacedLine(page.page, number, line))
                heading_lines -= 1
            else:
                body.append(PlacedLine(page.page, number, line))
    if heading or body:
        yield section_id, heading, body


def _is_alone(section: Section, text: str) -> bool:
    """Whether the heading is alone on its line, and not the start of a paragraph."""
    return len(match_key(text)) <= len(match_key(section.name))


def _group_paragraphs(paragraphs: Sequence[Paragraph]) -> list[ChunkDraft]:
    """Group paragraphs into chunks of limited size.

    Tables are separate chunks, and headings stay with the text after them.
    """
    drafts: list[ChunkDraft] = []
    group: list[Paragraph] = []
    for paragraph in paragraphs:
        is_table = paragraph.shape is Shape.ROWS
        if is_table and any(member.shape is not Shape.HEADING for member in group):
            drafts.append(_make_draft(group))
            group = []
        if is_table:
            drafts += _split_rows(group, paragraph)
            group = []
            continue
        if group and _is_full(group, paragraph):
            drafts.append(_make_draft(group))
            group = []
        group.append(paragraph)
    if group:
        drafts.append(_make_draft(group))
    return drafts


def _is_full(group: Sequence[Paragraph], following: Paragraph) -> bool:
    if all(paragraph.shape is Shape.HEADING for paragraph in group):
        return False
    size = sum(len(paragraph.text) for paragraph in group)
    if size + len(following.text) > MAX_CHARACTERS:
        return True
    return size >= MIN_CHARACTERS and is_cut_point(following.text)


def _split_rows(headings: Sequence[Paragraph], table: Paragraph) -> Iterator[ChunkDraft]:
    """Yield a table as one draft, or several if it is too long; the first has the headings."""
    group: list[PlacedLine] = []
    leading = list(headings)
    size = 0
    for placed in table.lines:
        if group and size + len(placed.line.text) > MAX_CHARACTERS:
            yield ChunkDraft(ChunkKind.TABLE, (*leading, Paragraph(Shape.ROWS, tuple(group))))
            group, leading, size = [], [], 0
        group.append(placed)
        size += len(placed.line.text)
    yield ChunkDraft(ChunkKind.TABLE, (*leading, Paragraph(Shape.ROWS, tuple(group))))


def _make_draft(group: Sequence[Paragraph]) -> ChunkDraft:
    shapes = Counter(member.shape for member in group if member.shape is not Shape.HEADING)
    kind = ChunkKind.LIST if shapes[Shape.ITEM] > shapes[Shape.PROSE] else ChunkKind.PROSE
    draft = ChunkDraft(kind, tuple(group))
    text = fold_text(draft.text)
    is_statblock = all(word in text for word in STATBLOCK)
    return replace(draft, kind=ChunkKind.STATBLOCK) if is_statblock else draft


class _ChunkBuilder:
    """Makes chunks from drafts, with ids and anchors that are unique in the book."""

    def __init__(
        self,
        toc: Toc,
        paths: Mapping[str, tuple[str, ...]],
        labels: Mapping[int, str | None],
        parts: Mapping[int, str],
    ) -> None:
        self._toc = toc
        self._paths = paths
        self._labels = labels
        self._parts = parts
        self._ordinals: Counter[str] = Counter()
        self._texts: Counter[str] = Counter()
        self._last_table: tuple[str, int, str] | None = None
        """(scope, last page, header) of the previous table; the scope is a section or book id."""
        self._chunks: list[Chunk] = []
        self.chunked: ChunkedRanges = defaultdict(list)

    def add(self, section_id: str | None, draft: ChunkDraft) -> None:
        """Make a chunk from a draft; from a table, also make one of each row."""
        scope = section_id or self._toc.book_id
        text = draft.text
        if not text:
            return
        self._ordinals[scope] += 1
        anchor = make_short_id("anchor", scope, str(self._ordinals[scope]))
        chunk = self._make_chunk(section_id, anchor, draft.kind, draft.lines, text)
        self._chunks.append(chunk)
        for placed in draft.lines:
            self.chunked[placed.page, placed.number].append((placed.line.start, placed.line.end))
        if draft.kind is ChunkKind.TABLE:
            self._add_rows(section_id, chunk, draft.paragraphs[-1].lines)

    def _add_rows(self, section_id: str | None, table: Chunk, lines: Sequence[PlacedLine]) -> None:
        """Make a chunk of each row, with the header of the table as its first line.

        A table without a header gets the header of the previous table in its section, if that table
        is on the same page or the page before. The table then continues the previous one, after a
        page break or an interrupting line.
        """
        scope = section_id or self._toc.book_id
        header_lines, rows = split_table(lines)
        header = " ".join(clean_text(placed.line.text) for placed in header_lines)
        if not header and self._last_table is not None and self._last_table[0] == scope:
            header = self._last_table[2] if lines[0].page - self._last_table[1] in {0, 1} else ""
        self._last_table = (scope, lines[-1].page, header)
        for row in rows:
            row_text = " ".join(clean_text(placed.line.text) for placed in row)
            if not row_text:
                continue
            text = "\n".join(filter(None, (header, row_text)))
            name = f"{table.anchor_id}\x1f{match_key(' '.join(row_text.split()[:2]))}"
            self._ordinals[name] += 1
            anchor = make_short_id("row", name, str(self._ordinals[name]))
            chunk = self._make_chunk(section_id, anchor, ChunkKind.ROW, row, text)
            self._chunks.append(chunk.model_copy(update={"view_of": table.chunk_id}))

    def _make_chunk(
        self,
        section_id: str | None,
        anchor: str,
        kind: ChunkKind,
        lines: Sequence[PlacedLine],
        text: str,
    ) -> Chunk:
        name = f"{section_id or self._toc.book_id}\x1f{kind.value}\x1f{text}"
        self._texts[name] += 1
        spans = tuple(_find_spans(lines))
        page = spans[0].page
        return Chunk(
            chunk_id=make_short_id("chunk", name, str(self._texts[name])),
            anchor_id=anchor,
            content_sha=sha256_hex(text.encode("utf-8")),
            source_id=self._toc.source_id,
            page=page,
            page_end=spans[-1].page,
            page_label=self._labels.get(page),
            spans=spans,
            kind=kind,
            breadcrumb=self._paths.get(section_id or "", ()),
            text_raw="\n".join(placed.line.text for placed in lines),
            text=text,
            prev=None,
            next=None,
            metadata=ChunkMetadata(
                book_id=self._toc.book_id, section_id=section_id, part=self._parts.get(page)
            ),
        )

    def linked_chunks(self) -> list[Chunk]:
        """Return all chunks; those that are not rows contain the ids of their neighbours."""
        order = [chunk.chunk_id for chunk in self._chunks if chunk.kind is not ChunkKind.ROW]
        before = dict(zip(order[1:], order, strict=False))
        after = dict(pairwise(order))
        return [
            chunk.model_copy(
                update={"prev": before.get(chunk.chunk_id), "next": after.get(chunk.chunk_id)}
            )
            for chunk in self._chunks
        ]


def _find_spans(lines: Sequence[PlacedLine]) -> Iterator[PageSpan]:
    """Yield a span for each run of successive lines in one column of a page."""
    run: list[PlacedLine] = []
    for placed in lines:
        if run and not _is_successor(run[-1], placed):
            yield _make_span(run)
            run = []
        run.append(placed)
    yield _make_span(run)


def _is_successor(above: PlacedLine, below: PlacedLine) -> bool:
    if above.page != below.page or below.number - above.number not in {0, 1}:
        return False
    first, second = above.line.box, below.line.box
    return first is None or second is None or second[1] >= first[1] - 2.0


def _make_span(run: Sequence[PlacedLine]) -> PageSpan:
    boxes = [placed.line.box for placed in run if placed.line.box is not None]
    return PageSpan(
        page=run[0].page,
        char_start=run[0].line.start,
        char_end=run[-1].line.end,
        bbox=_bounding_box(boxes),
    )


def _bounding_box(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return (min(x0), min(y0), max(x1), max(y1))
