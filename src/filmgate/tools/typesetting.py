"""Typesetting: a Typst template and data become a PDF, the same bytes every time."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filmgate.core.errors import Invalid, Unavailable


def typeset(template: bytes, data: Mapping[str, Any], pictures: Mapping[str, bytes]) -> bytes:
    """A PDF. The template finds its values in `data.json`, and pictures by their names.

    Nothing outside of these can be read; only the fonts that Typst brings are used.
    """
    try:
        import typst  # a program of its own
    except ImportError as error:
        raise Unavailable(
            "nothing is there to typeset with",
            expected="the packages of the extra 'episode'",
            got="no typst",
            hint="pip install 'filmgate[episode]'",
        ) from error
    text = json.dumps(data, ensure_ascii=False, sort_keys=True).encode()
    sources = {"main.typ": template, "data.json": text, **pictures}
    with TemporaryDirectory(prefix="filmgate-") as name:
        folder = Path(name)
        for source, content in sources.items():
            if source != Path(source).name:
                raise ValueError(f"a source is called by a plain name, not {source!r}")
            (folder / source).write_bytes(content)
        try:
            return typst.compile(folder / "main.typ", root=folder, ignore_system_fonts=True)
        except (typst.TypstError, RuntimeError) as error:
            raise Invalid("the report cannot be set", got=str(error)[:500]) from error
