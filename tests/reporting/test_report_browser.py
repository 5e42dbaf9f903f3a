"""The page in a real browser: nothing leaves the screen of a phone, nothing is asked of the network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield opened
        opened.close()


@pytest.mark.parametrize("name", ["english", "chinese", "bare"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_never_scrolls_sideways_even_with_all_opened(browser, pages, name, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(pages[name].as_uri())
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    page.close()


def test_it_asks_for_nothing_but_itself_and_complains_of_nothing(browser, pages):
    page = browser.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(pages["english"].as_uri())
    assert asked == [pages["english"].as_uri()]
    assert complaints == []
    page.close()


LUMINANCE = """element => {
  const channels = color => color.match(/[0-9.]+/g).slice(0, 3).map(Number).map(value => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const light = color => { const [r, g, b] = channels(color); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const back = getComputedStyle(document.body).backgroundColor;
  const [one, other] = [light(getComputedStyle(element).color), light(back)].sort((a, b) => b - a);
  return (one + 0.05) / (other + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(browser, pages, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(pages["english"].as_uri())
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 384) == (scheme == "dark")
    for selector in (
        "p",
        "h2",
        ".note",
        "td .range",
        "thead th",
        ".eyebrow",
        "nav a",
        ".y-axis span",
        "dt.control",
    ):
        element = page.query_selector(selector)
        assert element is not None, selector
        assert element.evaluate(LUMINANCE) >= 4.5, selector
    page.close()


def test_a_reason_opens_on_its_examples(browser, pages):
    page = browser.new_page()
    page.goto(pages["english"].as_uri())
    reason = page.locator("details.reason").first
    assert not reason.locator("blockquote").first.is_visible()
    reason.locator("summary").first.click()
    assert reason.locator("blockquote").first.is_visible()
    page.close()
