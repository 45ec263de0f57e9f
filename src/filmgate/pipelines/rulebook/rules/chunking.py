"""Chunks: what is found and cited. Every character of a book is in one, or accounted for."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from filmgate.core.books import LEFT_OUT, Box, Page
from filmgate.core.digest import sha256_hex
from filmgate.core.rulebook import (
    Chunk,
    ChunkKind,
    ChunkMetadata,
    Coverage,
    Section,
    Span,
    Toc,
)
from filmgate.pipelines.rulebook.rules.coverage import Taken, account
from filmgate.pipelines.rulebook.rules.paragraphs import (
    MAX_CHARACTERS,
    MIN_CHARACTERS,
    Paragraph,
    Placed,
    Shape,
    is_chosen,
    paragraphs,
    typesetting,
)
from filmgate.pipelines.rulebook.rules.sections import breadcrumbs, short_id
from filmgate.pipelines.rulebook.rules.tables import table_rows
from filmgate.pipelines.rulebook.rules.text import cleaned, folded, key

STATBLOCK = ("armor class", "hit points")
"""What a block of a creature's numbers always has."""


@dataclass(frozen=True)
class Piece:
    """Paragraphs that become one chunk."""

    kind: ChunkKind
    parts: tuple[Paragraph, ...]

    @property
    def lines(self) -> tuple[Placed, ...]:
        """All of its lines."""
        return tuple(line for part in self.parts for line in part.lines)

    @cached_property
    def text(self) -> str:
        """A paragraph a line."""
        return "\n".join(text for part in self.parts if (text := part.text))


def chunks(
    toc: Toc, pages: Sequence[Page], parts: Mapping[int, str]
) -> tuple[list[Chunk], Coverage]:
    """The chunks of a book in order, rows behind the table that they stand in, and the account of
    its characters. `parts`: the piece of the file that each page lies in."""
    known = {each.section_id: each for each in (*toc.sections, *toc.unlisted)}
    paths = breadcrumbs([*toc.sections, *toc.unlisted])
    labels = {page.page: page.label for page in pages}
    maker = _Maker(toc, paths, labels, parts)
    for section_id, pieces in _pieces(known.values(), pages):
        for piece in pieces:
            maker.add(section_id, piece)
    return maker.linked(), account(toc, pages, maker.taken)


def _pieces(
    known: Iterable[Section], pages: Sequence[Page]
) -> Iterator[tuple[str | None, list[Piece]]]:
    """Section by section, what becomes a chunk. The heading of a section without text of its own
    goes to the one below."""
    setting = typesetting(pages)
    carried: list[Paragraph] = []
    blocks = list(_blocks(known, pages))
    for section_id, heading, body in blocks:
        if heading:
            carried.append(Paragraph(Shape.HEADING, tuple(heading)))
        found = paragraphs(body, setting)
        if not found:
            continue
        yield section_id, _cut([*carried, *found])
        carried = []
    if carried:
        yield blocks[-1][0], _cut(carried)


def _blocks(
    known: Iterable[Section], pages: Sequence[Page]
) -> Iterator[tuple[str | None, list[Placed], list[Placed]]]:
    """(section, lines of its heading, lines of its text), in the order of the file."""
    starts: dict[tuple[int, int], Section] = {}
    for each in known:
        if each.place is not None:
            starts.setdefault((each.place.page, each.place.line), each)
    section_id: str | None = None
    heading: list[Placed] = []
    body: list[Placed] = []
    due = 0
    for page in pages:
        for number, line in enumerate(page.lines):
            if line.role in LEFT_OUT or not line.text.strip():
                continue
            begun = starts.get((page.page, number))
            if begun is not None and begun.place is not None:
                if heading or body:
                    yield section_id, heading, body
                section_id, heading, body = begun.section_id, [], []
                due = begun.place.lines if _is_alone(begun, line.text) else 0
            if due:
                heading.append(Placed(page.page, number, line))
                due -= 1
            else:
                body.append(Placed(page.page, number, line))
    if heading or body:
        yield section_id, heading, body


def _is_alone(section: Section, text: str) -> bool:
    """Whether the heading has its line for itself, and does not run into a paragraph."""
    return len(key(text)) <= len(key(section.name))


def _cut(found: Sequence[Paragraph]) -> list[Piece]:
    """Paragraphs in pieces of a good size: tables on their own, headings with what follows."""
    pieces: list[Piece] = []
    held: list[Paragraph] = []
    for each in found:
        is_table = each.shape is Shape.ROWS
        if is_table and any(part.shape is not Shape.HEADING for part in held):
            pieces.append(_piece(held))
            held = []
        if is_table:
            pieces += _tables(held, each)
            held = []
            continue
        if held and _is_full(held, each):
            pieces.append(_piece(held))
            held = []
        held.append(each)
    if held:
        pieces.append(_piece(held))
    return pieces


def _is_full(held: Sequence[Paragraph], following: Paragraph) -> bool:
    if all(part.shape is Shape.HEADING for part in held):
        return False
    size = sum(len(part.text) for part in held)
    if size + len(following.text) > MAX_CHARACTERS:
        return True
    return size >= MIN_CHARACTERS and is_chosen(following.text)


def _tables(held: Sequence[Paragraph], rows: Paragraph) -> Iterator[Piece]:
    """A table, in pieces where it is long."""
    group: list[Placed] = []
    lead = list(held)
    size = 0
    for each in rows.lines:
        if group and size + len(each.line.text) > MAX_CHARACTERS:
            yield Piece(ChunkKind.TABLE, (*lead, Paragraph(Shape.ROWS, tuple(group))))
            group, lead, size = [], [], 0
        group.append(each)
        size += len(each.line.text)
    yield Piece(ChunkKind.TABLE, (*lead, Paragraph(Shape.ROWS, tuple(group))))


def _piece(held: Sequence[Paragraph]) -> Piece:
    shapes = Counter(part.shape for part in held if part.shape is not Shape.HEADING)
    kind = ChunkKind.LIST if shapes[Shape.ITEM] > shapes[Shape.PROSE] else ChunkKind.PROSE
    piece = Piece(kind, tuple(held))
    text = folded(piece.text)
    is_statblock = all(word in text for word in STATBLOCK)
    return replace(piece, kind=ChunkKind.STATBLOCK) if is_statblock else piece


class _Maker:
    """Gives pieces their names."""

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
        self._head: tuple[str, int, str] | None = None
        """The section, the last page and the head of the table before."""
        self._made: list[Chunk] = []
        self.taken: Taken = defaultdict(list)

    def add(self, section_id: str | None, piece: Piece) -> None:
        """One more, with the rows in it."""
        within = section_id or self._toc.book_id
        text = piece.text
        if not text:
            return
        self._ordinals[within] += 1
        anchor = short_id("anchor", within, str(self._ordinals[within]))
        chunk = self._chunk(section_id, anchor, piece.kind, piece.lines, text)
        self._made.append(chunk)
        for each in piece.lines:
            self.taken[each.page, each.number].append((each.line.start, each.line.end))
        if piece.kind is ChunkKind.TABLE:
            self._add_rows(section_id, chunk, piece.parts[-1].lines)

    def _add_rows(self, section_id: str | None, table: Chunk, lines: Sequence[Placed]) -> None:
        """Each row with the head of its table above it; a table may go on behind a page break, or
        behind a line across it."""
        within = section_id or self._toc.book_id
        heads, rows = table_rows(lines)
        head = " ".join(cleaned(each.line.text) for each in heads)
        if not head and self._head is not None and self._head[0] == within:
            head = self._head[2] if lines[0].page - self._head[1] in {0, 1} else ""
        self._head = (within, lines[-1].page, head)
        for row in rows:
            told = " ".join(cleaned(each.line.text) for each in row)
            if not told:
                continue
            text = "\n".join(filter(None, (head, told)))
            name = f"{table.anchor_id}\x1f{key(' '.join(told.split()[:2]))}"
            self._ordinals[name] += 1
            anchor = short_id("row", name, str(self._ordinals[name]))
            made = self._chunk(section_id, anchor, ChunkKind.ROW, row, text)
            self._made.append(made.model_copy(update={"view_of": table.chunk_id}))

    def _chunk(
        self,
        section_id: str | None,
        anchor: str,
        kind: ChunkKind,
        lines: Sequence[Placed],
        text: str,
    ) -> Chunk:
        within = f"{section_id or self._toc.book_id}\x1f{kind.value}\x1f{text}"
        self._texts[within] += 1
        spans = tuple(_spans(lines))
        page = spans[0].page
        return Chunk(
            chunk_id=short_id("chunk", within, str(self._texts[within])),
            anchor_id=anchor,
            content_sha=sha256_hex(text.encode("utf-8")),
            source_id=self._toc.source_id,
            page=page,
            page_end=spans[-1].page,
            page_label=self._labels.get(page),
            spans=spans,
            kind=kind,
            breadcrumb=self._paths.get(section_id or "", ()),
            text_raw="\n".join(each.line.text for each in lines),
            text=text,
            prev=None,
            next=None,
            metadata=ChunkMetadata(
                book_id=self._toc.book_id, section_id=section_id, part=self._parts.get(page)
            ),
        )

    def linked(self) -> list[Chunk]:
        """All of them; each but rows knows its neighbours."""
        order = [each.chunk_id for each in self._made if each.kind is not ChunkKind.ROW]
        before = dict(zip(order[1:], order, strict=False))
        after = dict(pairwise(order))
        return [
            each.model_copy(
                update={"prev": before.get(each.chunk_id), "next": after.get(each.chunk_id)}
            )
            for each in self._made
        ]


def _spans(lines: Sequence[Placed]) -> Iterator[Span]:
    """Runs of lines that follow each other on a page and down a column."""
    run: list[Placed] = []
    for each in lines:
        if run and not _follows(run[-1], each):
            yield _span(run)
            run = []
        run.append(each)
    yield _span(run)


def _follows(above: Placed, below: Placed) -> bool:
    if above.page != below.page or below.number - above.number not in {0, 1}:
        return False
    first, second = above.line.box, below.line.box
    return first is None or second is None or second[1] >= first[1] - 2.0


def _span(run: Sequence[Placed]) -> Span:
    boxes = [each.line.box for each in run if each.line.box is not None]
    return Span(
        page=run[0].page,
        char_start=run[0].line.start,
        char_end=run[-1].line.end,
        bbox=_around(boxes),
    )


def _around(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return (min(x0), min(y0), max(x1), max(y1))
