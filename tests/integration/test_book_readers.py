"""Books of every format are read line by line; damaged and malicious files are refused."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.books import BookFormat, Line, Page, Role
from filmgate.core.errors import Invalid
from filmgate.tools.books.front_matter import split_front_matter
from filmgate.tools.books.reading import read_book
from support import books


def read(path: Path, *, ocr: bool = False) -> tuple[list[Page], list[str]]:
    book = read_book(path, ocr=ocr)
    return list(book.pages), [remark.code for remark in book.facts.remarks]


def lines(path: Path) -> list[Line]:
    return [line for page in read(path)[0] for line in page.lines]


def test_lines_of_a_pdf_have_position_font_and_size(tmp_path: Path) -> None:
    book = read_book(books.lanterns(tmp_path / "lanterns.pdf"))
    pages = list(book.pages)
    assert book.facts.format is BookFormat.PDF
    assert book.facts.title == "Lanterns below the Weir"
    assert [entry.title for entry in book.facts.outline][:2] == [
        "Legal Information",
        "Playing the Game",
    ]
    (title,) = [line for line in pages[0].lines if line.text == "Playing the Game"]
    assert title.size == 20.0
    assert title.box is not None
    x0, y0, x1, y1 = title.box
    width, height = pages[0].size or (0, 0)
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    rows = [line.text for line in pages[0].lines if line.role is Role.ROW]
    assert "Lantern 7 marks 1 kg" in rows


def test_nested_html_is_read_completely_or_refused(tmp_path: Path) -> None:
    def write_nested(levels: int) -> Path:
        inner = "<div>" * levels + "the fact" + "</div>" * levels
        path = tmp_path / f"deep{levels}.html"
        path.write_text(f"<h1>Deep</h1>{inner}<p>after</p>")
        return path

    assert [line.text for line in lines(write_nested(1500))] == ["Deep", "the fact", "after"]
    with pytest.raises(Invalid, match="nested too deeply"):
        read(write_nested(20_000))


def test_rotated_pages_are_read_upright(tmp_path: Path) -> None:
    import pikepdf

    plain = books.plain_pdf(tmp_path / "plain.pdf", [["first line", "second line", "third line"]])
    with pikepdf.open(plain) as document:
        document.pages[0].rotate(90, relative=True)
        document.save(tmp_path / "rotated.pdf")
    assert [line.text for line in lines(tmp_path / "rotated.pdf")] == [
        line.text for line in lines(plain)
    ]


def test_modules_in_the_folder_of_a_book_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.md").write_text("# Rules\n\nText.")
    for module in ("resource", "json", "lxml"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert [line.text for line in lines(Path("a.md"))] == ["Rules", "Text."]
    assert not (tmp_path / "ran").exists()


def test_the_start_of_a_line_counts_the_characters_of_pdfiums_text(tmp_path: Path) -> None:
    import pypdfium2

    path = books.lanterns(tmp_path / "lanterns.pdf")
    document = pypdfium2.PdfDocument(path)
    for page in read(path)[0]:
        page_text = document[page.page - 1].get_textpage().get_text_range()
        for line in page.lines:
            assert page_text[line.start : line.end] == line.text
        characters = len("".join(page_text.split()))
        assert sum(len("".join(line.text.split())) for line in page.lines) == characters


def test_headings_items_and_rows_are_read_from_markdown_html_and_epub(tmp_path: Path) -> None:
    rules, table = tmp_path / "rules.md", tmp_path / "gear.html"
    rules.write_text(f"---\ntitle: front matter\n---\n{books.RULES}")
    table.write_text(books.TABLE)
    front, *body = lines(rules)
    assert (front.role, front.text) == (Role.FRONT_MATTER, "---\ntitle: front matter\n---\n")
    assert (body[0].text, body[0].role, body[0].level) == (
        "Gatecheck, the Game",
        Role.HEADING,
        1,
    )
    assert [line.text for line in body if line.role is Role.ITEM] == [
        "Kindle",
        "Cold Flame",
        "Calm Water",
        "Cold Flame",
    ]
    assert [line.text for line in lines(table) if line.role is Role.ROW] == [
        "Lantern\t7",
        "Storm oil\t1",
        "Rope\t2",
    ]
    assert all("script" not in line.text for line in lines(table))
    assert [line.text for line in lines(books.epub(tmp_path / "weir.epub"))] == [
        "Weir",
        "It holds.",
    ]


FRONT_MATTER = [
    "---\ntitle: Weirs\n---\n",
    "---\r\ntitle: Weirs\r\n---\r\n",
    "---\rtitle: Weirs\r---\r",
    "--- \t\ntitle: Weirs\n---  \n",
    "---\ntitle: Weirs\n...\n",
    "---\nlayout: post\ntags: [a, b]\nnested:\n  - one: 1\n---\n",
    "---\nTitle: Weirs\nSystem: Gatecheck\n---\n",
    '+++\ntitle = "Weirs"\n+++\n',
    '+++\r\ntitle = "Weirs"\r\n[extra]\r\na = 1\r\n+++\r\n',
]
NO_FRONT_MATTER = [
    "---\n\nThe altar drowns intruders.\n\n---\n",
    "---\nNote: read this first, for the altar drowns intruders\n---\n",
    "---\nArmor Class: 14\nHit Points: 11, altar\n---\n",
    "---\n- altar\n- weir\n---\n",
    "---\ntitle: altar\n\nnever closed\n",
    "---\ntitle: [altar\n---\n",
    "---\ntitle: altar\ntitle : {{ a }} }\n---\n",
    "----\ntitle: altar\n----\n",
    " ---\ntitle: altar\n---\n",
    "+++\nThe altar\n+++\n",
    "+++\naltar = " + "1" * 5000 + "\n+++\n",
    "***\nThe altar\n***\n",
    "The altar\n---\ntitle: x\n---\n",
]
BODY = "\n# Rules\n\nThe text.\n"


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("front", FRONT_MATTER)
def test_front_matter_gets_its_own_role_and_a_remark(
    tmp_path: Path, front: str, bom: bytes
) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(bom + (front + BODY).encode())
    (page,), remarks = read(path)
    assert [line.text for line in page.lines if line.role is not Role.FRONT_MATTER] == [
        "Rules",
        "The text.",
    ]
    (front_matter,) = [line for line in page.lines if line.role is Role.FRONT_MATTER]
    assert front_matter.text.rstrip() == front.rstrip()
    assert remarks == ["front_matter"]
    assert all(line.end <= next_line.start for line, next_line in pairwise(page.lines))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("front", NO_FRONT_MATTER)
def test_text_that_begins_like_front_matter_is_text(tmp_path: Path, front: str, end: str) -> None:
    path = tmp_path / "a.md"
    path.write_bytes((front + BODY).replace("\n", end).encode())
    (page,), remarks = read(path)
    text = " ".join(line.text for line in page.lines)
    assert all(word in text for word in ("altar", "Rules", "The text."))
    assert Role.FRONT_MATTER not in {line.role for line in page.lines}
    assert remarks == []


@given(st.text(alphabet='-+.: \n\ra[]{}="#', max_size=80))
def test_front_matter_and_text_concatenated_are_the_file(text: str) -> None:
    front, rest = split_front_matter(text)
    assert front + rest == text


def test_a_table_row_keeps_the_cells_beyond_its_header(tmp_path: Path) -> None:
    book = tmp_path / "book.md"
    table = "| Weapon | Damage |\n|---|---|\n| Sword | 1d8 | **versatile** |\n| Club | 1d4 |\n"
    quoted = "".join(f"> {line}\n" for line in table.splitlines())
    book.write_text(f"# Weapons\n\n{table}\n{quoted}", encoding="utf-8")
    (page,), _ = read(book)
    rows = [line.text.split() for line in page.lines if line.role is Role.ROW]
    expected = [["Sword", "1d8", "versatile"], ["Club", "1d4"]]
    assert rows == expected * 2


@pytest.mark.parametrize("block", ["> ", "- "])
def test_nested_markdown_is_read_completely_or_refused(tmp_path: Path, block: str) -> None:
    book = tmp_path / "book.md"
    for depth in (9, 20, 40, 110, 1000):
        book.write_text(block * depth + "innermost", encoding="utf-8")
        if depth <= 40:
            assert "innermost" in lines(book)[-1].text
        else:
            with pytest.raises(Invalid, match="nested too deeply"):
                read(book)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Roll <skill> plus <attribute modifier>.", "Roll <skill> plus <attribute modifier>."),
        ("![Map: room one is trapped](map.png)", "Map: room one is trapped"),
        ("Roll\n{: The keeper rolls first }", "Roll {: The keeper rolls first }"),
        ("The <b>bold</b> <mark>one</mark>.\n{: .note #id key='a b'}", "The bold one."),
    ],
)
def test_words_that_a_web_page_would_not_show_are_read(
    tmp_path: Path, text: str, words: str
) -> None:
    book = tmp_path / "book.md"
    book.write_text(text, encoding="utf-8")
    assert [" ".join(line.text.split()) for line in lines(book)] == [words]


@pytest.mark.parametrize("opening", ["<!-- ", "<script>", "<STYLE>", "<?php "])
def test_an_html_block_that_would_hide_the_rest_of_a_book_is_refused(
    tmp_path: Path, opening: str
) -> None:
    book = tmp_path / "book.md"
    book.write_text(f"Start.\n\n{opening}\n\n# The rest\n", encoding="utf-8")
    with pytest.raises(Invalid, match="not closed"):
        read(book)


def test_text_that_html_hides_is_counted_in_a_remark(tmp_path: Path) -> None:
    book = tmp_path / "book.md"
    book.write_text("Shown.\n\n<!-- to do -->\n\n<nav>Home</nav>\n", encoding="utf-8")
    pages, codes = read(book)
    assert [line.text for line in pages[0].lines] == ["Shown."]
    assert codes == ["hidden_html"]


def test_a_pdf_with_an_owner_password_is_read_and_gets_a_remark(tmp_path: Path) -> None:
    plain = books.lanterns(tmp_path / "lanterns.pdf")
    restricted = books.encrypt(plain, tmp_path / "restricted.pdf", user="", owner="secret")
    pages, remarks = read(restricted)
    assert [p.lines for p in pages] == [p.lines for p in read(plain)[0]]
    assert remarks == ["owner_password"]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


BAD_BOOKS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (lambda f: write(f / "a.pdf", b""), "empty"),
    "garbage": (
        lambda f: write(f / "a.pdf", b"%PDF-1.4\n" + bytes(range(256)) * 9),
        "intact PDF",
    ),
    "truncated": (
        lambda f: write(f / "a.pdf", books.lanterns(f / "b.pdf").read_bytes()[:-3000]),
        "Data format error|truncated",
    ),
    "encrypted": (
        lambda f: books.encrypt(books.lanterns(f / "b.pdf"), f / "a.pdf", user="x", owner="y"),
        "user password",
    ),
    "text with the suffix of PDF": (
        lambda f: write(f / "a.pdf", b"Once upon a time"),
        "is not pdf",
    ),
    "PDF with the suffix of Markdown": (
        lambda f: write(f / "a.md", books.lanterns(f / "b.pdf").read_bytes()),
        "is not markdown",
    ),
    "unknown format": (lambda f: write(f / "a.docx", b"PK"), "format of the book is unknown"),
    "not UTF-8": (lambda f: write(f / "a.txt", b"caf\xe9 rules"), "UTF-8"),
    "binary": (lambda f: write(f / "a.md", b"\0\1\2" * 99), "not a text file"),
    "blank": (lambda f: write(f / "a.html", b"<html><body> </body></html>"), "has no text"),
    "not a ZIP": (lambda f: write(f / "a.epub", b"PK\x03\x04 and no more"), "ZIP"),
    "EPUB without a package": (
        lambda f: books.epub(f / "a.epub", href="missing.xhtml"),
        "missing.xhtml",
    ),
    "EPUB with a member outside of it": (
        lambda f: books.epub(f / "a.epub", dots__dots__etc__passwd="x"),
        "outside of the archive",
    ),
    "EPUB with a link to the outside": (
        lambda f: books.epub(f / "a.epub", href="../../../etc/passwd"),
        "outside of the archive",
    ),
    "EPUB that is a ZIP bomb": (
        lambda f: books.epub(
            f / "a.epub",
            href="big.xhtml",
            book__big=b"",
            **{"book__big.xhtml": b"<p>" + b"a" * (40 << 20)},
        ),
        "too large when unpacked",
    ),
}


@pytest.mark.parametrize("kind", BAD_BOOKS)
def test_a_bad_book_is_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    make_book, message = BAD_BOOKS[kind]
    with pytest.raises(Invalid, match=message) as refused:
        read(make_book(tmp_path))
    assert refused.value.got


@pytest.mark.proof
def test_a_scan_has_no_text_without_ocr(tmp_path: Path) -> None:
    path = books.scan(tmp_path / "scan.pdf", "THE GATE HOLDS\nuntil the tenth mark")
    (page,), _ = read(path)
    assert page.is_image
    assert not page.lines
    (page,), _ = read(path, ocr=True)
    assert page.is_ocr
    assert [line.text.upper() for line in page.lines] == ["THE GATE HOLDS", "UNTIL THE TENTH MARK"]
    assert all(line.box is not None and line.box[2] < 600 for line in page.lines)


def test_a_scan_with_a_stamp_is_still_a_scan(tmp_path: Path) -> None:
    import pikepdf

    stamped = books.plain_pdf(tmp_path / "stamp.pdf", [["Downloaded by Bob"]])
    with pikepdf.open(books.scan(tmp_path / "scan.pdf")) as scanned, pikepdf.open(stamped) as stamp:
        page = scanned.pages[0]
        page.add_overlay(stamp.pages[0], pikepdf.Rectangle(page.mediabox))
        scanned.save(tmp_path / "both.pdf")
    (page_read,), _ = read(tmp_path / "both.pdf")
    assert [line.text for line in page_read.lines] == ["Downloaded by Bob"]
    assert page_read.is_image


@pytest.mark.proof
def test_a_decompression_bomb_only_ends_the_process_that_reads_it(tmp_path: Path) -> None:
    path = books.bomb(tmp_path / "bomb.pdf")
    assert path.stat().st_size < 100_000
    with pytest.raises(Invalid, match="reader process died"):
        read(path)
