"""The page in a browser: what a reader does, and what there is to see then.

``axe/`` holds axe-core 4.11.0, https://github.com/dequelabs/axe-core, under the MPL 2.0 beside it.
"""

import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve.server import Running

pytest.importorskip("fastapi")
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install the package chromium, or set CHROMIUM"),
]
AXE = Path(__file__).parent / "axe" / "axe.min.js"
TEXT = "She went to New York. 🙂 Bob Ray left Oslo, שלום."


@pytest.fixture(scope="module")
def browser():
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server, request):
    """The page with a text tagged; nothing may appear on the console, nor be asked of another host."""
    context = browser.new_context(**getattr(request, "param", {}), reduced_motion="reduce")
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda one: asked.append(one.url))
    page.goto(server.url)
    page.wait_for_selector(".ring.crf")
    fill(page, TEXT)
    yield page
    context.close()
    refused = "the server responded with a status of 422"  # reported by the browser, not by us
    assert [one for one in said if refused not in one] == []
    assert {re.match(r"[a-z]+://[^/]+", url)[0] for url in asked} == {server.url}


@contextmanager
def drawn(page):
    """What is done in this block draws the trellis anew; wait until it has."""
    with page.expect_response("**/v1/explain"):
        yield
    page.locator("#trellis[aria-busy=false]").wait_for()


def fill(page, text):
    with drawn(page):
        page.fill("#text", text)


def path(page):
    """The tags of the path that is drawn, read off the picture."""
    return page.evaluate(
        """() => {
            const names = [...document.querySelectorAll(".name")].map((one) => one.textContent);
            const whole = document.querySelector("#trellis svg").getBoundingClientRect();
            const height = whole.height / names.length;
            return [...document.querySelectorAll(".ring.crf")].map((ring) => {
                const box = ring.getBoundingClientRect();
                return names[Math.floor((box.top + box.height / 2 - whole.top) / height)];
            });
        }"""
    )


def press(page, token, tag):
    """Click a cell."""
    place = page.evaluate(
        """([token, tag]) => {
            const names = [...document.querySelectorAll(".name")].map((one) => one.textContent);
            const head = document.querySelectorAll(".head")[token];
            const height = document.querySelector("#trellis svg").height.baseVal.value / names.length;
            return [head.offsetLeft + head.offsetWidth / 2, (names.indexOf(tag) + 0.5) * height];
        }""",
        [token, tag],
    )
    with drawn(page):
        page.locator("#trellis svg").click(position={"x": place[0], "y": place[1]})


def test_the_text_and_the_trellis_are_the_taggers(page, names):
    tagged = names.tag(TEXT)
    marks = page.locator("#tagged mark")
    assert marks.locator(".said").all_inner_texts() == [span.text for span in tagged.spans]
    assert [mark.get_attribute("data-label") for mark in marks.all()] == [span.label for span in tagged.spans]
    assert path(page) == list(tagged.sentences[0].tags)
    with drawn(page):
        page.get_by_role("button", name="Show sentence 2").click()
    assert page.locator(".head").all_inner_texts() == list(tagged.sentences[1].tokens)
    assert path(page) == list(tagged.sentences[1].tags)


def test_the_threshold_leaves_spans_out(page, names):
    page.fill("#threshold", "1")
    assert page.locator("mark:not(.unsure)").count() == 0
    assert page.locator("mark.unsure").count() == len(names.tag(TEXT).spans)
    assert page.locator("#threshold-value").inner_text() == "100 %"
    page.fill("#threshold", "0")
    assert page.locator("mark.unsure").count() == 0


def test_a_tag_is_forced_forbidden_and_freed(page):
    free = path(page)
    assert free[3:5] == ["B-LOC", "E-LOC"]
    press(page, 3, "B-PER")
    assert path(page)[3:5] == ["B-PER", "E-PER"], "the path moves, and not at this token alone"
    assert page.get_by_text("New is B-PER").is_visible()
    press(page, 3, "B-PER")
    assert page.get_by_text("New is not B-PER").is_visible()
    assert path(page) == free
    press(page, 3, "B-PER")
    assert not page.locator("#known").is_visible()
    press(page, 3, "E-LOC")
    press(page, 4, "B-LOC")
    assert page.locator("#known button").count() == 3
    with drawn(page):
        page.get_by_role("button", name="Free all").click()
    assert path(page) == free


def test_what_no_path_keeps_is_said(page):
    press(page, 0, "E-LOC")  # no sentence begins with one
    assert "No path keeps to all of this" in page.locator("#story").inner_text()
    assert page.locator(".ring.crf").count() == 0
    press(page, 0, "O")
    assert path(page)[0] == "O"


def test_with_the_keyboard_alone(page):
    page.locator("#trellis svg").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert "She" in page.locator("#cell").inner_text()
    tag = page.locator(".name").all_inner_texts().index("S-PER")
    row = page.locator(".name").all_inner_texts().index(path(page)[0])
    for _ in range(tag - row):
        page.keyboard.press("ArrowDown")
    assert "S-PER: marginal" in page.locator("#cell").inner_text()
    with drawn(page):
        page.keyboard.press("f")
    assert path(page)[0] == "S-PER"
    with drawn(page):
        page.keyboard.press("Backspace")
    assert path(page)[0] == "O"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "force"


def test_best_paths_tables_and_transitions(page, names):
    k_best = names.k_best(list(names.tag(TEXT).sentences[0].tokens), 5)
    rows = page.locator("#paths button")
    assert rows.count() == len(k_best)
    rows.nth(1).hover()
    assert page.locator(".ring.extra").count() > 0
    page.locator("#text").hover()
    assert page.locator(".ring.extra").count() == 0
    page.locator("#table-details summary").click()
    cells = page.locator("#table tbody tr")
    cells.first.wait_for()
    assert cells.count() == len(names.bundle.vocabulary.tags)
    assert page.locator("#table td.best").count() == 6
    page.locator("#transition-details summary").click()
    page.locator("#transition-table tbody tr").first.wait_for()
    assert page.locator("#transition-table tbody tr").count() == len(names.bundle.vocabulary.tags) + 1
    page.locator("#transitions rect").first.hover()
    assert "start → " in page.locator("#transition-cell").inner_text()


def test_another_model(page, pos):
    with drawn(page):
        page.select_option("#model", "pos")
    assert not page.locator("#threshold-row").is_visible()
    assert path(page) == list(pos.tag(TEXT).sentences[0].tags)
    assert page.locator(".token .tag").all_inner_texts() == list(pos.tag(TEXT).tags)


def test_no_text_and_too_long_a_text(page):
    page.fill("#text", "  ")
    page.get_by_text("Nothing to tag yet.").wait_for()
    assert not page.locator("#trellis-section").is_visible()
    page.fill("#text", "a" * 20_001)
    page.get_by_text("body.text: expected at most 20000 characters").wait_for()
    fill(page, "Ann.")
    assert not page.locator("#error").is_visible()


@pytest.mark.parametrize(
    "page",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"viewport": {"width": 360, "height": 740}, "has_touch": True},
    ],
    indirect=True,
    ids=["light", "dark", "phone"],
)
def test_everybody_can_use_it(page):
    """axe-core finds nothing, and nothing is wider than the window."""
    page.fill("#threshold", "0.99")
    press(page, 3, "B-PER")
    for details in ("#table-details", "#transition-details"):
        page.locator(f"{details} summary").click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    report = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    found = [
        (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"][:3]])
        for one in report["violations"]
    ]
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    "page", [{}, {"viewport": {"width": 390, "height": 844}}], indirect=True, ids=["desk", "phone"]
)
def test_sixty_tokens_and_sixty_tags(page):
    with drawn(page):
        page.select_option("#model", "many")
    fill(page, "a l03 x " * 20)
    assert page.locator(".head").count() == 60
    assert page.locator(".name").count() < 61, "only tags in play, at first"
    page.uncheck("#rows")
    assert page.locator(".name").count() == 61
    assert page.locator(".cells rect").count() == 60 * 61
    best = path(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.localName") == "svg"
    for key in ("ArrowRight", *["ArrowDown"] * 60):
        page.keyboard.press(key)
    assert page.evaluate("document.querySelector('#trellis').scrollTop") > 0, "it follows the cursor"
    with drawn(page):
        page.keyboard.press("f")
    assert (path(page)[1], path(page)[30:]) == (page.locator(".name").last.inner_text(), best[30:])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_server_with_a_token_asks_for_it(browser, folders, tmp_path):
    (tmp_path / "tokens").write_text("right-token-0123\n")
    with Running(folders["names"], "--token-file", tmp_path / "tokens", "--drain-seconds", 0) as guarded:
        context = browser.new_context()
        page = context.new_page()
        page.goto(guarded.url)
        page.locator("#login").wait_for()
        assert page.evaluate("document.activeElement.id") == "token"
        page.fill("#token", "wrong-token-0123")
        page.keyboard.press("Enter")
        page.get_by_text("The server does not accept this token.").wait_for()
        assert page.locator("#login").is_visible()
        assert not page.locator(".ring").count()
        page.fill("#token", "right-token-0123")
        page.get_by_role("button", name="Use it").click()
        page.wait_for_selector(".ring.crf")
        assert not page.locator("#login").is_visible()
        assert not page.locator("#error").is_visible()
        fill(page, TEXT)
        page.reload()  # it is kept for this tab
        page.wait_for_selector(".ring.crf")
        other = browser.new_context().new_page()
        other.goto(guarded.url)
        other.locator("#login").wait_for()  # and for no other
        other.context.close()
        context.close()
