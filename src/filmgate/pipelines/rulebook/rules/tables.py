"""Tables: their header lines and their rows."""

from collections.abc import Sequence

from filmgate.core.books import Role
from filmgate.pipelines.rulebook.rules.paragraphs import CELLS, PlacedLine
from filmgate.pipelines.rulebook.rules.styles import is_bold


def split_table(lines: Sequence[PlacedLine]) -> tuple[list[PlacedLine], list[list[PlacedLine]]]:
    """Split the lines of a table into header lines and rows.

    Header lines are marked as such, or are the first lines and in bold. A line without cells, in
    the font of the row above, continues that row.
    """
    body = list(lines)
    headers: list[PlacedLine] = []
    while len(body) > 1 and _is_header(body[0], body[-1]):
        headers.append(body.pop(0))
    rows: list[list[PlacedLine]] = []
    for placed in body:
        is_row = placed.line.role in CELLS
        if rows and not is_row and placed.line.font == rows[-1][-1].line.font:
            rows[-1].append(placed)
        elif is_row:
            rows.append([placed])
    return headers, rows


def _is_header(placed: PlacedLine, last: PlacedLine) -> bool:
    is_bold_header = placed.line.font != last.line.font and is_bold(placed.line)
    return placed.line.role is Role.HEAD or is_bold_header
