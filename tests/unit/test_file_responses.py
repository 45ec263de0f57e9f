"""File responses: which files a browser shows, and which it downloads."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from fastapi import Request

from filmgate.api.files import INLINE_TYPES, MEDIA_TYPES, file_response, media_type_of

ACTIVE = [
    "text/html",
    "text/html; charset=utf-8",
    "application/xhtml+xml",
    "image/svg+xml",
    "text/xml",
    "application/xml",
    "application/rss+xml",
    "application/mathml+xml",
    "text/xsl",
    "text/javascript",
    "application/javascript",
    "application/wasm",
    "text/css",
    "multipart/x-mixed-replace",
    "message/rfc822",
    "application/x-shockwave-flash",
]
UNKNOWN = ["application/octet-stream", "text/plain", "video/unknown", "video/*", "*/*", "", "mp4"]


def headers_of(media_type: str, name: str = "name", if_none_match: str = "") -> Mapping[str, str]:
    """Return the headers of the response to HEAD for a file."""
    scope = {
        "type": "http",
        "method": "GET",
        "headers": [(b"if-none-match", if_none_match.encode())],
        "state": {"is_head": True},
    }
    response = file_response(
        Request(scope), Path(name), size=9, sha256="0" * 64, media_type=media_type, name=name
    )
    return response.headers


def policy_of(headers: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the sources that a content security policy allows, by directive."""
    parts = [part.split() for part in headers["content-security-policy"].split(";")]
    return {directive: sources for directive, *sources in parts}


@pytest.mark.parametrize("media_type", sorted(INLINE_TYPES))
def test_a_type_on_the_list_is_inline_and_may_load_itself_but_no_script(media_type: str) -> None:
    headers = headers_of(media_type)
    assert headers["content-type"] == media_type
    assert headers["content-disposition"].startswith("inline;")
    policy = policy_of(headers)
    assert "sandbox" not in policy
    assert policy["default-src"] == ["'none'"]
    assert policy["media-src"] == policy["img-src"] == policy["object-src"] == ["'self'"]
    assert not [name for name in policy if name.startswith(("script-src", "worker", "connect"))]


@pytest.mark.parametrize("media_type", [*ACTIVE, *UNKNOWN])
def test_any_other_type_is_a_sandboxed_attachment_without_a_type(media_type: str) -> None:
    headers = headers_of(media_type)
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment;")
    policy = policy_of(headers)
    assert policy["sandbox"] == []
    assert policy["default-src"] == ["'none'"]


def test_only_video_audio_raster_images_and_pdf_are_on_the_list() -> None:
    kinds = {media_type.partition("/")[0] for media_type in INLINE_TYPES - {"application/pdf"}}
    assert kinds == {"video", "audio", "image"}
    assert [name for name in INLINE_TYPES if "xml" in name or "svg" in name] == []


@pytest.mark.parametrize("media_type", ["Video/MP4", "video/mp4; codecs=avc1", " video/mp4 "])
def test_case_and_parameters_of_a_type_do_not_matter(media_type: str) -> None:
    headers = headers_of(media_type)
    assert headers["content-type"] == "video/mp4"
    assert headers["content-disposition"].startswith("inline;")


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("film.mp4", "video/mp4"),
        ("FILM.MP4", "video/mp4"),
        ("film.webm", "video/webm"),
        ("film.mkv", "video/x-matroska"),
        ("film.mov", "video/quicktime"),
        ("film.avi", "video/x-msvideo"),
        ("sound.mp3", "audio/mpeg"),
        ("sound.opus", "audio/ogg"),
        ("still.jpeg", "image/jpeg"),
        ("still.png", "image/png"),
    ],
)
def test_the_suffix_of_a_file_names_its_type(name: str, media_type: str) -> None:
    assert media_type_of(Path(name)) == media_type


@pytest.mark.parametrize(
    "name",
    ["a.html", "a.htm", "a.xhtml", "a.svg", "a.svgz", "a.xml", "a.js", "a.mp4.html", "a.pdf", "a"],
)
def test_no_suffix_that_an_uploader_may_choose_names_an_active_type(name: str) -> None:
    assert media_type_of(Path(name)) == "application/octet-stream"
    assert set(MEDIA_TYPES.values()) <= INLINE_TYPES


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("my film.mp4", "my%20film.mp4"),
        ('a"; filename="b.html', "a%22%3B%20filename%3D%22b.html"),
        ("a\r\nset-cookie: b", "a%0D%0Aset-cookie%3A%20b"),
        ("../a/b.mp4", "..%2Fa%2Fb.mp4"),
        ("fil\u202e4pm.exe", "fil%E2%80%AE4pm.exe"),
        ("\udcff.mp4", "%3F.mp4"),
    ],
)
def test_the_name_of_a_file_cannot_change_its_headers(name: str, encoded: str) -> None:
    headers = headers_of("video/mp4", name)
    assert headers["content-disposition"] == f"inline; filename*=UTF-8''{encoded}"
    assert "set-cookie" not in headers


def test_an_unchanged_file_keeps_its_policy() -> None:
    whole, unchanged = headers_of("video/mp4"), headers_of("video/mp4", if_none_match="*")
    for name in ("content-security-policy", "content-disposition", "etag"):
        assert unchanged[name] == whole[name]
