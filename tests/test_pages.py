"""The built book, opened page by page in a real browser: run ``make book`` first.

A browser: Debian's ``apt-get install chromium``, or any Chrome. Without one these tests are skipped, unless the
environment sets REQUIRE_BROWSER=1.
"""

import contextlib
import functools
import gzip
import http.server
import os
import re
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import nbformat
import pydata_sphinx_theme
import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from playwright.sync_api import TimeoutError, sync_playwright

from helpers import explorables
from tools.build_book import install_node_packages

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "_build" / "html"
EVERY_PAGE = sorted(path.relative_to(BOOK).as_posix() for path in BOOK.rglob("*.html") if "_static" not in path.parts)
# The redirect to the first page has nothing to look at.
PAGES = [page for page in EVERY_PAGE if 'http-equiv="Refresh"' not in (BOOK / page).read_text(encoding="utf-8")]
# The reader's choice, where there is one, is stronger than what the system asks for, so the two disagree here.
LOOKS = {
    "light-by-system": ("light", None),
    "dark-by-system": ("dark", None),
    "light-by-choice": ("dark", "light"),
    "dark-by-choice": ("light", "dark"),
}
WIDTHS = (1280, 390)
ICONS = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}')

AXE = """async () => {
    document.querySelectorAll('details').forEach(details => details.open = true);
    const found = await axe.run(document, {
        runOnly: {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']},
        rules: {'label-content-name-mismatch': {enabled: true}},
        resultTypes: ['violations'],
    });
    return found.violations.flatMap(violation => violation.nodes.map(
        node => `accessibility: ${violation.id}: ${node.failureSummary.replace(/\\s+/g, ' ')} ${node.html.slice(0, 160)}`));
}"""

# A page that opens at its start is laid out from there, section by section (book.js).
LAID_OUT = "!document.querySelector('.in-parts .bd-article > section > section:not(.laid-out)')"
LOOK_AT_PAGE = r"""() => {
    const problems = [];
    const words = element => (element.getAttribute('aria-label') || element.querySelector(':scope > title')?.textContent || '').trim();
    const named = element => element.closest('[role=img]') && words(element.closest('[role=img]'));
    const start = element => element.outerHTML.slice(0, 120);
    for (const image of document.querySelectorAll('img')) {
        const decorates = !image.closest('main') && image.getAttribute('alt') === '';
        if (!image.alt.trim() && !named(image) && !decorates) problems.push(`image without alt text: ${start(image)}`);
        if (image.complete && !image.naturalWidth) problems.push(`image that does not load: ${start(image)}`);
    }
    for (const drawing of document.querySelectorAll('svg, [role=img]')) {
        const decorates = drawing.closest('[aria-hidden=true], .katex, button, a');  // axe looks at a control's own name
        if (!decorates && !named(drawing)) problems.push(`drawing without a name: ${start(drawing)}`);
    }
    for (const name of document.querySelectorAll('.katex-error')) problems.push(`mathematics with a mistake: ${start(name)}`);
    for (const formula of document.querySelectorAll('.math')) {
        if (!formula.querySelector('.katex')) problems.push(`mathematics not typeset: ${start(formula)}`);
    }
    const walk = document.createTreeWalker(document.querySelector('article') || document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const text = walk.currentNode;
        if (text.parentElement.closest('pre, code, script, style, .katex')) continue;
        const raw = text.data.match(/\$\S[^$]*\$|\\\(|\\\[|\\begin\{/);
        if (raw) problems.push(`mathematics not typeset: ${text.data.trim().slice(0, 120)}`);
    }
    const wide = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
    if (wide > innerWidth) {
        const far = [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1);
        problems.push(`the page is ${wide} wide in a window of ${innerWidth}: ${far.slice(0, 3).map(start).join(' | ')}`);
    }
    return problems;
}"""


def find_browser(installed_by_playwright):
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"):
        if shutil.which(name):
            return shutil.which(name)
    return installed_by_playwright if Path(installed_by_playwright).exists() else None


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        program = find_browser(playwright.chromium.executable_path)
        if program is None:
            reason = "no browser found: install Chromium (on Debian: apt-get install chromium), or Chrome"
            if os.environ.get("REQUIRE_BROWSER"):
                pytest.fail(reason)
            pytest.skip(reason)
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        browser.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/"


@pytest.fixture(scope="module")
def book_address():
    server, address = serve(BOOK)
    yield address
    server.shutdown()


@functools.cache
def axe():
    install_node_packages()  # other tests use this too, before the first book is built
    return (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def problems_of_page(browser, home, page, look, width, accessibility=True, patient=True):
    """Open ``home + page`` and list what is wrong with it; ``home`` is where the book starts, http:// or file://.

    ``patient`` waits half a second longer, for whatever the page may still ask for once it is there.
    """
    asked_by_system, chosen = LOOKS[look]
    problems = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=asked_by_system)
    try:
        if chosen:
            context.add_init_script(f"localStorage.setItem('mode', '{chosen}'); localStorage.setItem('theme', '{chosen}')")
        tab = context.new_page()
        tab.on("pageerror", lambda error: problems.append(f"error in a script: {error}"))
        tab.on("console", lambda line: problems.append(f"error on the console: {line.text}") if line.type == "error" else None)
        tab.on("requestfailed", lambda request: problems.append(f"request that failed: {request.url}"))
        tab.on("response", lambda got: problems.append(f"missing ({got.status}): {got.url}") if got.status >= 400 else None)
        tab.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((home, "data:", "blob:"))
                else problems.append(f"request to another place: {request.url}")
            ),
        )
        tab.goto(home + page, wait_until="networkidle" if patient else "load")
        with contextlib.suppress(TimeoutError):
            tab.wait_for_function("document.documentElement.dataset.theme !== 'auto'", timeout=5000)
        shown = tab.evaluate("document.fonts.ready.then(() => document.documentElement.dataset.theme)")
        if shown != (chosen or asked_by_system):
            problems.append(f"the page is {shown}, not {chosen or asked_by_system}")
        tab.wait_for_function(LAID_OUT)
        problems += tab.evaluate(LOOK_AT_PAGE)
        if accessibility:
            tab.evaluate(axe())
            problems += tab.evaluate(AXE)
    finally:
        context.close()
    return problems


def dead_links_of_page(book, page):
    """List the links and files that ``page`` names and that are not in the folder ``book``."""

    @functools.cache
    def read(file):
        return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")

    dead = []
    for element in read(book / page).find_all(["a", "link", "script", "img", "source", "iframe", "meta"]):
        address = element.get("href") or element.get("src")
        if element.name == "meta":
            address = re.sub(r".*url=", "", element["content"]) if element.get("http-equiv") == "Refresh" else None
        if not address or urlsplit(address).scheme or address.startswith("//"):
            continue
        target = urlsplit(urljoin(page, address))
        file = book / unquote(target.path or page)
        if not file.is_file():
            dead.append(f"{address}: no such file")
        elif target.fragment and file.suffix == ".html":
            anchor = unquote(target.fragment)
            if not read(file).find(lambda tag: tag.get("id") == anchor or tag.get("name") == anchor):
                dead.append(f"{address}: no such place in that page")
    return dead


def test_the_book_has_been_built():
    assert "intro.html" in PAGES, f"there is no book in {BOOK}: run 'make book' first"


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("page", PAGES)
def test_page_works_from_a_server_and_from_disk_wide_and_narrow(browser, book_address, page, look):
    problems = []
    _, chosen = LOOKS[look]
    for home in (book_address, f"{BOOK.as_uri()}/"):
        for width in WIDTHS:
            # The accessibility rules take seconds and look at the same page each time: from the server alone (on file://
            # they would fetch, and be refused), both widths in both colours, and each choice once.
            thorough = home == book_address and (width == WIDTHS[0] or not chosen)
            patient = home == book_address and width == WIDTHS[0]
            found = problems_of_page(browser, home, page, look, width, accessibility=thorough, patient=patient)
            problems += [f"{home.split(':')[0]}, {width} px: {problem}" for problem in found]
    assert not problems, f"{page} ({look}):\n" + "\n".join(dict.fromkeys(problems))


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_no_link_inside_the_book_is_dead(page):
    dead = dead_links_of_page(BOOK, page)
    assert not dead, f"{page}:\n" + "\n".join(dead)


def test_every_icon_of_a_page_is_left_in_the_icon_font(browser):
    theme = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
    known = ICONS.findall((theme / "styles" / "pydata-sphinx-theme.css").read_text(encoding="utf-8"))
    built = ICONS.findall((BOOK / "_static" / "styles" / "pydata-sphinx-theme.css").read_text(encoding="utf-8"))
    assert len(known) > 1000 and 5 < len(built) < 100
    known, built = ({name: int(code, 16) for names, code in rules for name in names.split(",")} for rules in (known, built))
    pages = [(BOOK / page).read_text(encoding="utf-8") for page in PAGES]
    shown = {f".{name}:before" for page in pages for name in re.findall(r"\bfa-[\w-]+", page)} & known.keys()
    assert shown and shown <= built.keys()
    font = TTFont(BOOK / "_static" / "vendor" / "fontawesome" / "webfonts" / "fa-solid-900.woff2")
    assert {known[name] for name in shown} <= font.getBestCmap().keys()
    notes = set()  # their icons come from variables of the style sheet
    for page in PAGES:
        tab = browser.new_page()
        tab.goto(f"{BOOK.as_uri()}/{page}")
        script = "titles => titles.map(title => getComputedStyle(title, '::after').content)"
        notes |= {content.strip('"') for content in tab.eval_on_selector_all(".admonition:not(details) > .admonition-title", script)}
        tab.close()
    assert len(notes) > 2 and {ord(icon) for icon in notes} <= font.getBestCmap().keys()


@pytest.mark.parametrize("home", ["from disk", "from a server"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_that_moves_stands_live_in_its_page(browser, book_address, home, width):
    start = BOOK.as_uri() + "/" if home == "from disk" else book_address
    context = browser.new_context(viewport={"width": width, "height": 900})
    try:
        found = set()
        for page in PAGES:
            if names := re.findall(r'data-explorable="(\w+)"', (BOOK / page).read_text(encoding="utf-8")):
                tab = context.new_page()
                tab.goto(start + page)
                tab.wait_for_function(f"document.querySelectorAll('.explorable.mounted').length === {len(names)}")
                assert not tab.locator(".explorable .fallback").first.is_visible()
                found |= set(names)
                tab.close()
        assert found == {getattr(explorables, name).name for name in explorables.__all__}
    finally:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_side_bar_opens_and_closes(browser, width):
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.goto(f"{BOOK.as_uri()}/chapters/02_convolution.html", wait_until="load")
    place = "document.querySelector('nav.bd-links').getBoundingClientRect().x"
    wide = width == WIDTHS[0]
    tab.wait_for_function(f"{place} {'>=' if wide else '<'} 0")
    tab.locator(".primary-toggle:visible").first.click()
    tab.wait_for_function(f"{place} {'<' if wide else '>='} 0")
    if wide:
        tab.locator(".primary-toggle:visible").first.click()
    else:
        tab.keyboard.press("Escape")
    tab.wait_for_function(f"{place} {'>=' if wide else '<'} 0")
    tab.close()


def test_a_section_chosen_in_the_contents_on_a_phone_is_seen(browser):
    tab = browser.new_page(viewport={"width": 390, "height": 900})
    tab.goto(f"{BOOK.as_uri()}/chapters/02_convolution.html", wait_until="load")
    tab.locator(".secondary-toggle:visible").first.click()
    link = tab.locator("dialog[open] a[href^='#']").nth(3)
    section = tab.locator(link.get_attribute("href"))
    link.click()
    tab.wait_for_function("!document.querySelector('dialog[open]')")
    tab.wait_for_function("section => Math.abs(section.getBoundingClientRect().y) < 200", arg=section.element_handle())
    tab.close()


@pytest.mark.parametrize("page", [page for page in PAGES if "data-explorable" in (BOOK / page).read_text(encoding="utf-8")])
def test_a_page_with_figures_that_move_is_small(browser, book_address, page):
    tab = browser.new_page()
    answers = []
    tab.on("response", lambda answer: answers.append(answer))
    tab.goto(book_address + page)
    tab.wait_for_function("[...document.images].every(picture => picture.loading !== 'lazy')")  # book.js asks for all of them
    tab.wait_for_load_state("networkidle")
    sizes = {answer.url: len(gzip.compress(answer.body())) for answer in answers}
    tab.close()
    weights = {url for url in sizes if re.search("/data_(lenet|training)_", url)}
    assert 100_000 < sum(size for url, size in sizes.items() if url not in weights) < 450_000
    assert sum(sizes[url] for url in weights) < 300_000


@pytest.mark.parametrize("page", sorted({*PAGES} - {"search.html"}))  # whose scripts are what the page is for
def test_no_script_holds_up_the_text_of_a_page(page):
    head = BeautifulSoup((BOOK / page).read_text(encoding="utf-8"), "html.parser").head
    assert not head.select("script[src]:not([defer])")
    assert not head.select("link[rel=stylesheet] ~ script:not([src]):not([type=module])"), "it would wait for the style sheets"


@pytest.mark.parametrize("chosen, look, seen", [(None, "dark", "dark"), (None, "light", "light"), ("light", "dark", "light")])
def test_a_page_has_its_colours_before_the_theme_s_scripts_have_come(browser, chosen, look, seen):
    context = browser.new_context(color_scheme=look)
    tab = context.new_page()
    page = f"{BOOK.as_uri()}/chapters/02_convolution.html"
    if chosen:
        tab.goto(page)
        tab.evaluate("chosen => { localStorage.mode = localStorage.theme = chosen }", chosen)
    tab.route("**/scripts/*.js*", lambda route: route.abort())
    tab.goto(page)
    assert tab.evaluate("document.documentElement.dataset.theme") == seen
    ink = tab.evaluate("getComputedStyle(document.querySelector('.bd-article p')).color.match(/\\d+/g).map(Number)")
    assert (sum(ink) > 384) == (seen == "dark")
    context.close()


def test_the_code_of_a_page_is_the_notebook_s_and_what_looks_like_text_is_no_element_of_its_own():
    notebook = nbformat.read(ROOT / "chapters" / "02_convolution.ipynb", as_version=4)
    page = BeautifulSoup((BOOK / "chapters" / "02_convolution.html").read_text(encoding="utf-8"), "html.parser")
    shown = page.select(".cell_input pre")
    assert len(shown) > 40
    assert {pre.get_text().strip() for pre in shown} <= {cell.source.strip() for cell in notebook.cells}
    tokens = {token for span in page.select(".cell_input pre span") for token in span.get("class", [])}
    assert {"k", "nb", "mi", "s2", "c1"} <= tokens and not tokens & {"n", "p", "w"}


def test_weights_are_asked_for_where_the_first_figure_that_needs_them_stands():
    found = set()
    for page in PAGES:
        html = BeautifulSoup((BOOK / page).read_text(encoding="utf-8"), "html.parser")
        for script in html.select("script[src*='/explorables/data_']:not([type])"):
            block = re.search(r"data_(\w+)\.js", script["src"])[1]
            if script.find_parent("head") is None:
                found.add(block)
                first = html.select_one(f"figure[data-needs~={block}]")
                assert script.find_previous("figure", class_="explorable") is first, f"{block} in {page}"
    assert {"lenet_plain", "training_linear"} <= found


@pytest.mark.parametrize("javascript", [True, False])
def test_questions_of_a_chapter_are_answered_by_keyboard_from_disk(browser, javascript):
    context = browser.new_context(viewport={"width": 390, "height": 900}, java_script_enabled=javascript)
    try:
        tab = context.new_page()
        tab.goto(f"{BOOK.as_uri()}/chapters/01_refresher.html")
        choices = tab.locator(".question").filter(has_text="nn.Linear(784, 10)").first
        choices.get_by_role("radio").first.focus()
        tab.keyboard.press("Space")
        assert choices.get_by_role("status").inner_text().startswith("Not quite. That is the shape of the weights")
        tab.keyboard.press("ArrowDown")
        assert choices.get_by_role("status").inner_text().startswith("Right. 100 images")
        tab.keyboard.press("Tab")  # to the next question, which wants a number
        number = tab.locator(".question").filter(has_text="How many numbers are there to learn")
        if javascript:
            tab.keyboard.type("7,850")
            tab.keyboard.press("Enter")
            assert number.get_by_role("status").inner_text().startswith("Right. 784 · 10 weights")
        else:
            tab.keyboard.press("Enter")
            assert "7,850: Right. 784 · 10 weights" in number.locator("details").inner_text()
    finally:
        context.close()


# What is put into a page, and the problem that must then be named. Without this, a check that looks nowhere would pass.
BROKEN = {
    "a script from another host": ('<script src="http://127.0.0.2:9/x.js"></script>', "request to another place"),
    "a missing file": ('<img src="_static/none.png" alt="a cat">', "missing (404)"),
    "a script that throws": ("<script>throw new Error('no')</script>", "error in a script"),
    "an error on the console": ("<script>console.error('no')</script>", "error on the console"),
    "an image without alt text": ('<img src="_static/logo.svg" alt="">', "image without alt text"),
    "a drawing without a name": ('<svg role="img"><rect width="9" height="9"/></svg>', "drawing without a name"),
    "text too pale to read": ('<p style="color:#aaa;background:#bbb">pale</p>', "accessibility: color-contrast"),
    "a button without a name": ("<button></button>", "accessibility: button-name"),
    "a label that is not what is seen": (
        '<button aria-label="Close">Open</button>',
        "accessibility: label-content-name-mismatch",
    ),
    "a wide box": ('<div style="width:3000px">wide</div>', "the page is"),
    "mathematics in dollars": ("<p>Then $x^2$ is</p>", "mathematics not typeset"),
    "mathematics that did not render": ('<span class="math">x</span>', "mathematics not typeset"),
    "a formula with a mistake": ('<span class="katex-error">x</span>', "mathematics with a mistake"),
    "a page that ignores the look": (
        "<script>addEventListener('load', () => setTimeout(() => document.documentElement.dataset.theme = 'light', 50))</script>",
        "the page is light",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_these_checks_find(browser, tmp_path, what):
    html, problem = BROKEN[what]
    shutil.copytree(BOOK / "_static", tmp_path / "_static")
    page = (BOOK / "intro.html").read_text(encoding="utf-8")
    (tmp_path / "intro.html").write_text(page.replace("</article>", html + "</article>", 1), encoding="utf-8")
    shutil.copy(BOOK / "searchindex.js", tmp_path)
    server, address = serve(tmp_path)
    try:
        found = problems_of_page(browser, address, "intro.html", "dark-by-system", 390)
    finally:
        server.shutdown()
    assert any(line.startswith(problem) for line in found), found


def test_the_link_check_finds_a_missing_page_and_a_missing_place(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html">b</a> <a href="a.html#nowhere">a</a> <a href="#here" id="here">c</a>')
    assert dead_links_of_page(tmp_path, "a.html") == ["b.html: no such file", "a.html#nowhere: no such place in that page"]
