"""Tables: their heads and their rows."""

from collections.abc import Sequence

from filmgate.core.books import Role
from filmgate.pipelines.rulebook.rules.paragraphs import CELLS, Placed
from filmgate.pipelines.rulebook.rules.styles import is_bold


def table_rows(lines: Sequence[Placed]) -> tuple[list[Placed], list[list[Placed]]]:
    """The head of a table: lines that say so, or that are set in bold; and its rows: a line without
    cells of its own, in the letters of the row above, goes on with it."""
    body = list(lines)
    heads: list[Placed] = []
    while len(body) > 1 and _is_head(body[0], body[-1]):
        heads.append(body.pop(0))
    rows: list[list[Placed]] = []
    for each in body:
        is_row = each.line.role in CELLS
        if rows and not is_row and each.line.font == rows[-1][-1].line.font:
            rows[-1].append(each)
        elif is_row:
            rows.append([each])
    return heads, rows


def _is_head(line: Placed, last: Placed) -> bool:
    is_other = line.line.font != last.line.font and is_bold(line.line)
    return line.line.role is Role.HEAD or is_other
