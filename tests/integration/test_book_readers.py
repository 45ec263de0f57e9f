"""Books of every format are read line by line; what is broken or hostile is refused by name."""

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
    return list(book.pages), [each.code for each in book.facts.remarks]


def lines(path: Path) -> list[Line]:
    return [line for page in read(path)[0] for line in page.lines]


def test_a_pdf_gives_lines_with_their_place_size_and_font(tmp_path: Path) -> None:
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


def test_no_text_is_lost_in_depths_and_turned_pages_are_read_upright(tmp_path: Path) -> None:
    import pikepdf

    def deep(levels: int) -> Path:
        inner = "<div>" * levels + "the fact" + "</div>" * levels
        path = tmp_path / f"deep{levels}.html"
        path.write_text(f"<h1>Deep</h1>{inner}<p>after</p>")
        return path

    assert [line.text for line in lines(deep(1500))] == ["Deep", "the fact", "after"]
    with pytest.raises(Invalid, match="nested too deeply"):
        read(deep(20_000))
    plain = books.plain_pdf(tmp_path / "plain.pdf", [["first line", "second line", "third line"]])
    with pikepdf.open(plain) as document:
        document.pages[0].rotate(90, relative=True)
        document.save(tmp_path / "turned.pdf")
    assert [line.text for line in lines(tmp_path / "turned.pdf")] == [
        line.text for line in lines(plain)
    ]


def test_modules_beside_a_book_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.md").write_text("# Rules\n\nText.")
    for module in ("resource", "json", "lxml"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert [line.text for line in lines(Path("a.md"))] == ["Rules", "Text."]
    assert not (tmp_path / "ran").exists()


def test_a_place_in_a_pdf_counts_the_characters_that_pdfium_gives(tmp_path: Path) -> None:
    import pypdfium2

    path = books.lanterns(tmp_path / "lanterns.pdf")
    document = pypdfium2.PdfDocument(path)
    for page in read(path)[0]:
        whole = document[page.page - 1].get_textpage().get_text_range()
        for line in page.lines:
            assert whole[line.start : line.end] == line.text
        characters = len("".join(whole.split()))
        assert sum(len("".join(line.text.split())) for line in page.lines) == characters


def test_headings_items_and_rows_are_read_out_of_markdown_html_and_epub(tmp_path: Path) -> None:
    rules, table = tmp_path / "rules.md", tmp_path / "gear.html"
    rules.write_text(f"---\ntitle: front matter\n---\n{books.RULES}")
    table.write_text(books.TABLE)
    front, *found = lines(rules)
    assert (front.role, front.text) == (Role.FRONT_MATTER, "---\ntitle: front matter\n---\n")
    assert (found[0].text, found[0].role, found[0].level) == (
        "Gatecheck, the Game",
        Role.HEADING,
        1,
    )
    assert [line.text for line in found if line.role is Role.ITEM] == [
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
    assert all("nobody" not in line.text for line in lines(table))
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
    "***\nThe altar\n***\n",
    "The altar\n---\ntitle: x\n---\n",
]
BODY = "\n# Rules\n\nThe text.\n"


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("front", FRONT_MATTER)
def test_front_matter_is_left_out_with_a_remark_and_an_account(
    tmp_path: Path, front: str, bom: bytes
) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(bom + (front + BODY).encode())
    (page,), remarks = read(path)
    assert [line.text for line in page.lines if line.role is not Role.FRONT_MATTER] == [
        "Rules",
        "The text.",
    ]
    (left_out,) = [line for line in page.lines if line.role is Role.FRONT_MATTER]
    assert left_out.text.rstrip() == front.rstrip()
    assert remarks == ["front_matter"]
    assert all(one.end <= other.start for one, other in pairwise(page.lines))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("front", NO_FRONT_MATTER)
def test_what_only_opens_like_front_matter_is_text(tmp_path: Path, front: str, end: str) -> None:
    path = tmp_path / "a.md"
    path.write_bytes((front + BODY).replace("\n", end).encode())
    (page,), remarks = read(path)
    text = " ".join(line.text for line in page.lines)
    assert all(word in text for word in ("altar", "Rules", "The text."))
    assert Role.FRONT_MATTER not in {line.role for line in page.lines}
    assert remarks == []


@given(st.text(alphabet='-+.: \n\ra[]{}="#', max_size=80))
def test_front_matter_and_text_together_are_the_file(text: str) -> None:
    front, rest = split_front_matter(text)
    assert front + rest == text


def test_an_owner_password_is_read_past_and_flagged(tmp_path: Path) -> None:
    plain = books.lanterns(tmp_path / "lanterns.pdf")
    limited = books.locked(plain, tmp_path / "limited.pdf", user="", owner="secret")
    pages, remarks = read(limited)
    assert [p.lines for p in pages] == [p.lines for p in read(plain)[0]]
    assert remarks == ["owner_password"]


def text_file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (lambda f: text_file(f / "a.pdf", b""), "empty"),
    "garbage": (
        lambda f: text_file(f / "a.pdf", b"%PDF-1.4\n" + bytes(range(256)) * 9),
        "whole PDF",
    ),
    "cut off": (
        lambda f: text_file(f / "a.pdf", books.lanterns(f / "b.pdf").read_bytes()[:-3000]),
        "Data format error|cut off",
    ),
    "locked": (
        lambda f: books.locked(books.lanterns(f / "b.pdf"), f / "a.pdf", user="x", owner="y"),
        "user password",
    ),
    "a text called PDF": (lambda f: text_file(f / "a.pdf", b"Once upon a time"), "no pdf"),
    "a PDF called text": (
        lambda f: text_file(f / "a.md", books.lanterns(f / "b.pdf").read_bytes()),
        "no markdown",
    ),
    "of no known kind": (lambda f: text_file(f / "a.docx", b"PK"), "no book of a kind"),
    "no UTF-8": (lambda f: text_file(f / "a.txt", b"caf\xe9 rules"), "UTF-8"),
    "binary": (lambda f: text_file(f / "a.md", b"\0\1\2" * 99), "no text"),
    "blank": (lambda f: text_file(f / "a.html", b"<html><body> </body></html>"), "no text"),
    "no ZIP": (lambda f: text_file(f / "a.epub", b"PK\x03\x04 and no more"), "ZIP"),
    "EPUB without a package": (
        lambda f: books.epub(f / "a.epub", href="missing.xhtml"),
        "missing.xhtml",
    ),
    "EPUB that climbs out": (
        lambda f: books.epub(f / "a.epub", dots__dots__etc__passwd="x"),
        "reaches outside",
    ),
    "EPUB that links out": (
        lambda f: books.epub(f / "a.epub", href="../../../etc/passwd"),
        "reaches outside",
    ),
    "EPUB that bursts": (
        lambda f: books.epub(
            f / "a.epub",
            href="big.xhtml",
            book__big=b"",
            **{"book__big.xhtml": b"<p>" + b"a" * (40 << 20)},
        ),
        "burst",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_book_is_refused_saying_what_is_wrong_with_it(tmp_path: Path, kind: str) -> None:
    make, told = BAD[kind]
    with pytest.raises(Invalid, match=told) as refused:
        read(make(tmp_path))
    assert refused.value.got


@pytest.mark.proof
def test_a_scan_has_no_text_unless_it_is_read_off(tmp_path: Path) -> None:
    path = books.scan(tmp_path / "scan.pdf", "THE GATE HOLDS\nuntil the tenth mark")
    (page,), _ = read(path)
    assert page.is_image
    assert not page.lines
    (page,), _ = read(path, ocr=True)
    assert page.is_ocr
    assert [line.text.upper() for line in page.lines] == ["THE GATE HOLDS", "UNTIL THE TENTH MARK"]
    assert all(line.box is not None and line.box[2] < 600 for line in page.lines)


def test_a_stamp_makes_no_text_of_a_scan(tmp_path: Path) -> None:
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
def test_a_bomb_ends_its_reader_and_nobody_else(tmp_path: Path) -> None:
    path = books.bomb(tmp_path / "bomb.pdf")
    assert path.stat().st_size < 100_000
    with pytest.raises(Invalid, match="reader died"):
        read(path)
