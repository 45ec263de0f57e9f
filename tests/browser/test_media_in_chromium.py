"""Media of the service in Chromium, in the session of a one-time link."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Error, Page

from filmgate.core.jobs import JobState
from support.browser import PATIENCE_S, chromium, colours_in, store_upload, write_aac, write_webm
from support.films import COLOURS, SIZE
from support.served import LIGHT, Served, served, until

SECONDS = 4
SCRIPT = "<script>document.title = 'ran'; new Image().src = '/ran'</script>"
HTML = f"<!doctype html><title>quiet</title>{SCRIPT}"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{SCRIPT}</svg>'
XHTML = f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{SCRIPT}</body></html>'
SCENE_COLOURS = {(0xC7, 0xD3, 0xDC), (0x9F, 0xB3, 0xC1)}
"""The colours in which a report draws scenes."""

ATTRIBUTES = ["currentTime", "duration", "videoWidth", "videoHeight", "seeking"]
COLOUR_JS = """video => {
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d');
    context.drawImage(video, 40, 30, 1, 1, 0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def service(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, module_database_url: str
) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("browsed") / "home"
    with served(home, FILMGATE_DATABASE_URL=module_database_url) as running:
        yield running


@pytest.fixture(scope="module")
def film(service: Served, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Upload a film of four shots; return its id."""
    path = write_webm(tmp_path_factory.mktemp("film") / "film.webm", [25] * SECONDS)
    with service.client() as client:
        return client.upload(path).asset_id


@pytest.fixture(scope="module")
def run_id(service: Served, film: str) -> str:
    """Run the pipeline on the film with a report; return the run's id."""
    settings = LIGHT | {"pdf.enabled": True}
    with service.client() as client:
        job = client.wait(client.run("episode", asset_id=film, settings=settings), 60)
    assert job.state is JobState.SUCCEEDED, job
    return job.run_id


@pytest.fixture(scope="module")
def session(browser: Browser, service: Served) -> Iterator[BrowserContext]:
    """Open a browser session with a one-time link."""
    context = browser.new_context(base_url=service.url)
    page = context.new_page()
    page.goto(service.filmgate("tokens", "link", "--url", service.url))
    page.close()
    assert context.request.get("/v1/session").ok
    yield context
    context.close()


@pytest.fixture
def page(session: BrowserContext) -> Iterator[Page]:
    opened = session.new_page()
    yield opened
    opened.close()


def state_of(page: Page) -> dict[str, Any]:
    """Return the attributes of the page's video."""
    js = "(video, names) => names.map(name => Number(video[name]))"
    return dict(zip(ATTRIBUTES, page.eval_on_selector("video", js, ATTRIBUTES), strict=True))


def assert_plays(page: Page) -> None:
    """Play the page's video, then seek to the third shot and compare the picture."""
    page.eval_on_selector("video", "video => { video.muted = true; video.play() }")
    until(lambda: 0.2 < state_of(page)["currentTime"] < SECONDS, PATIENCE_S)
    state = state_of(page)
    assert (state["videoWidth"], state["videoHeight"]) == SIZE
    assert state["duration"] == pytest.approx(SECONDS, abs=0.1)
    page.eval_on_selector("video", "video => { video.pause(); video.currentTime = 2.5 }")
    until(lambda: not state_of(page)["seeking"], PATIENCE_S)
    assert state_of(page)["currentTime"] == 2.5
    assert page.eval_on_selector("video", COLOUR_JS) == pytest.approx(COLOURS[2], abs=12)


def assert_downloads(page: Page, path: str, name: str) -> None:
    """Open a path, and check that a download starts and no script runs."""
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    with page.expect_download() as download, pytest.raises(Error, match="Download is starting"):
        page.goto(path)
    assert download.value.suggested_filename == name
    assert page.title() != "ran"
    assert [url for url in requested if url.endswith("/ran")] == []


def test_a_film_plays_at_its_own_url_and_seeks(page: Page, film: str) -> None:
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status))
    page.goto(f"/v1/videos/{film}/media")
    assert_plays(page)
    assert 206 in statuses


def test_a_film_plays_in_a_page_of_the_same_origin_and_seeks(page: Page, film: str) -> None:
    headers = {
        "content-type": "text/html",
        "content-security-policy": "default-src 'none'; media-src 'self'",
    }
    body = f'<!doctype html><video src="/v1/videos/{film}/media" controls></video>'
    page.route("/player", lambda route: route.fulfill(body=body, headers=headers))
    page.goto("/player")
    assert_plays(page)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_an_image_is_shown(page: Page, service: Served, kind: str) -> None:
    memory = BytesIO()
    Image.new("RGB", SIZE, "teal").save(memory, kind)
    page.goto(store_upload(service.home, kind, f"still.{kind}", memory.getvalue()))
    js = "image => [image.naturalWidth, image.naturalHeight]"
    assert page.eval_on_selector("img", js) == list(SIZE)


def test_a_report_is_shown(page: Page, film: str, run_id: str) -> None:
    page.goto(f"/episodes/{film}/runs/{run_id}/export")
    until(lambda: colours_in(page) >= SCENE_COLOURS, PATIENCE_S)


@pytest.mark.parametrize(
    ("name", "text"),
    [("page.html", HTML), ("picture.svg", SVG), ("page.xhtml", XHTML)],
    ids=["html", "svg", "xhtml"],
)
def test_a_file_that_could_run_script_is_downloaded_and_runs_none(
    page: Page, service: Served, name: str, text: str
) -> None:
    kind = name.rpartition(".")[2]
    assert_downloads(page, store_upload(service.home, kind, name, text.encode()), name)


def test_an_upload_that_is_both_a_page_and_sound_runs_no_script(
    page: Page, service: Served, tmp_path: Path
) -> None:
    both = write_aac(tmp_path / "both.html", prefix=f"{HTML}<!--".encode())
    with service.client() as client:
        client.upload(both)
        client.upload(both.rename(tmp_path / "sound.aac"))
    assert_downloads(page, "/v1/videos/both/media", "both.html")
    page.goto("/v1/videos/sound/media")
    assert page.evaluate("() => document.contentType") == "audio/aac"
    assert page.title() != "ran"
