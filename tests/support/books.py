"""Books for tests: valid ones, and ones of every kind that must be refused."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import pikepdf

from filmgate.tools.sample_book import typeset_book

RULES = """# Gatecheck, the Game

Gatecheck is licensed under the Creative Commons Attribution 4.0 International License.

## Playing

When the outcome is in doubt, roll two dice. Ten or more is a success.

A setback raises the water. See "Resting" for what it does to sleepers.

## Resting

A short rest takes ten minutes. A long rest takes six hours, above the waterline.

## Spells

### Kindle

You light a lantern that you can see. The spell deals 2d6 damage to creatures.

### Calm Water

The water lies still for an hour.

### Cold Flame

A flame without heat burns on what you touch.

## Callings

### Diver

Divers know the galleries. They fear no water.

### Lamplighter

Lamplighters carry the light.

### Keeper

Keepers turn the wheels.

## Lists

### Lamplighter Spells

- Kindle
- Cold Flame

### Keeper Spells

- Calm Water
- Cold Flame
"""
"""A small book in Markdown."""

TABLE = """<html><head><title>Gear of the Weir</title></head><body>
<h1>Gear</h1><p>All prices are in marks.</p>
<table><tr><th>Item</th><th>Price</th></tr><tr><td>Lantern</td><td>7</td></tr>
<tr><td>Storm oil</td><td>1</td></tr><tr><td>Rope</td><td>2</td></tr></table>
<script>alert("nobody reads this")</script></body></html>
"""
"""A small book in HTML."""


def lanterns(path: Path) -> Path:
    """Write the sample book: a PDF of two columns with an outline."""
    typeset_book(path)
    return path


def encrypt(source: Path, target: Path, *, user: str, owner: str) -> Path:
    """Copy a PDF with a user password (needed to open it) and an owner password."""
    with pikepdf.open(source) as document:
        permissions = pikepdf.Permissions(extract=False)
        encryption = pikepdf.Encryption(owner=owner, user=user, allow=permissions)
        document.save(target, encryption=encryption)
    return target


def scan(path: Path, text: str = "") -> Path:
    """Write a PDF with one page that is a picture of `text`."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (1240, 1754), "white")
    if text:
        font = ImageFont.load_default(size=44)
        ImageDraw.Draw(picture).multiline_text((120, 200), text, "black", font=font, spacing=30)
    picture.save(path, resolution=150)
    return path


def plain_pdf(path: Path, pages: list[list[str]]) -> Path:
    """Write a PDF with these lines on each page, without an outline."""
    with pikepdf.new() as document:
        font = document.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Font,
                Subtype=pikepdf.Name.Type1,
                BaseFont=pikepdf.Name.Helvetica,
            )
        )
        for lines in pages:
            document.add_blank_page(page_size=(420, 595))
            page = document.pages[-1]
            operators = [
                f"BT /F1 10 Tf 40 {540 - 14 * number} Td ({line}) Tj ET"
                for number, line in enumerate(lines)
            ]
            page.Contents = document.make_stream("\n".join(operators).encode("latin-1"))
            page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        document.save(path, deterministic_id=True)
    return path


def bomb(path: Path, megabytes: int = 3500) -> Path:
    """Write a PDF of a few kilobytes whose only page unpacks to this many megabytes."""
    compressor = zlib.compressobj(1)
    blank = b" " * (1 << 20)
    inner = b"".join([*(compressor.compress(blank) for _ in range(megabytes)), compressor.flush()])
    packed = zlib.compress(inner, 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<<>>>>",
        b"<</Filter[/FlateDecode/FlateDecode]/Length %d>>\nstream\n%s\nendstream"
        % (len(packed), packed),
    ]
    data, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    xref_offset = len(data)
    data += b"xref\n0 5\n0000000000 65535 f \n"
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % xref_offset
    path.write_bytes(data)
    return path


CONTAINER = """<?xml version="1.0"?><container version="1.0"
 xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="book/content.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>"""
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Weir Tales</dc:title></metadata>
<manifest><item id="one" href="{href}" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="one"/></spine></package>"""


def epub(path: Path, *, href: str = "one.xhtml", **members: Any) -> Path:
    """Write an EPUB of one document, with additional members by name; in names, `__` stands for `/`
    and `dots` for `..`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("book/content.opf", PACKAGE.format(href=href))
        archive.writestr(
            "book/one.xhtml", "<html><body><h1>Weir</h1><p>It holds.</p></body></html>"
        )
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("dots", ".."), data)
    return path
