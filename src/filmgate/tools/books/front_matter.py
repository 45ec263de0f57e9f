"""Front matter: the settings that site generators and note-taking programs put before a text.

It is YAML between two lines of `---` (the last one may be `...`), or TOML between two lines of
`+++`, from the first line of the file on. Markdown knows a line of `---` as well: as a thematic
break, and below a line of text as the mark of a heading. So only what is settings beyond doubt is
taken for settings, and everything else is text.
"""

import re
import tomllib

MAX_CHARACTERS = 64 * 1024
"""Longer blocks are text: settings of real files have some hundreds of characters."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_CLOSING = {"---": ("---", "..."), "+++": ("+++",)}
_IDENTIFIER = re.compile(r"[a-z_$][\w.-]*")
"""What keys of settings look like; `Armor Class: 14` and `Note: …` are prose."""

_KNOWN_KEYS = frozenset(
    {"title", "subtitle", "author", "authors", "date", "tags", "aliases", "license", "licence"}
    | {"rights", "description", "layout", "language", "lang", "publisher", "version", "keywords"}
)
"""Keys, in small letters, that are settings also where they begin with a capital."""


def split_front_matter(text: str) -> tuple[str, str]:
    """(front matter with its marks, the rest of the text); the first is empty where there is none.

    Lines may end in LF, CRLF or CR, and marks may have trailing blanks. The two parts together are
    the text.
    """
    first = _LINE.match(text)
    mark = first[0].rstrip() if first is not None else ""
    if first is None or mark not in _CLOSING:
        return "", text
    at = first.end()
    while at < len(text) and at <= MAX_CHARACTERS:
        line = _LINE.match(text, at)
        if line is None:
            break
        if line[0].rstrip() in _CLOSING[mark]:
            is_settings = _is_yaml if mark == "---" else _is_toml
            if not is_settings(text[first.end() : at]):
                break
            return text[: line.end()], text[line.end() :]
        at = line.end()
    return "", text


def _is_yaml(block: str) -> bool:
    """Whether a block is one YAML mapping with keys of settings."""
    import yaml  # only where a file opens with `---`

    try:
        root = yaml.compose(block, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return False
    if not isinstance(root, yaml.MappingNode):
        return False
    keys = [key.value for key, _ in root.value if isinstance(key, yaml.ScalarNode)]
    if len(keys) < len(root.value) or not keys:
        return False
    is_known = any(key.lower() in _KNOWN_KEYS for key in keys)
    return is_known or all(_IDENTIFIER.fullmatch(key) for key in keys)


def _is_toml(block: str) -> bool:
    try:
        return bool(tomllib.loads(block.replace("\r\n", "\n").replace("\r", "\n")))
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
