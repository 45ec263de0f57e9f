"""What benchmarks write into docs/explanation/benchmarks.md: each a section of its own."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "benchmarks.md"


def write_section(name: str, text: str) -> None:
    """Put `text` in the place of the page's section; its headings go down one level."""
    lowered = re.sub(r"^(#+) ", r"#\1 ", text.strip(), flags=re.MULTILINE)
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    page = PAGE.read_text()
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{PAGE} has no section {name}: expected the lines {begin} and {end}")
    PAGE.write_text(f"{before}{begin}\n{lowered}\n{end}{after}")
