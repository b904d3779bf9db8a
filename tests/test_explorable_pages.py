"""The figures that readers move, each in a page of its own that is opened from disk: no book has to be built.

A new figure is found by its name in ``explorables.__all__``; what is particular to it stands in ``tests/figures``.
"""

import gzip
import io
import random
import re

import nbformat
import pytest
import torch
import yaml
from jupyter_cache import get_cache
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace
from test_explorables import EVERY_CLASS, explorables, flat, of_tests
from test_pages import AXE as RULES
from test_pages import LOOK_AT_PAGE, ROOT, WIDTHS, axe, browser  # noqa: F401 (browser is a fixture)

from helpers import mnist, trained
from tools import build_book, explorable_pages

STATES = 200
AXE = RULES.replace("resultTypes:", "preload: false, resultTypes:")  # from disk it could not fetch the style sheet again
STYLES = (ROOT / "_static" / "book.css").read_text(encoding="utf-8")
PAGE = """<!doctype html><html lang="en" data-theme="{look}"><head><meta charset="utf-8"><title>Figures</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{styles} body {{ color: var(--book-ink) }}</style>
<link rel="stylesheet" href="explorables/explorable.css">{scripts}</head>
<body><main class="bd-article" style="max-width: 46rem; margin: auto; padding: 8px">
<h1>Figures</h1>{body}</main></body></html>"""

each_class = pytest.mark.parametrize("figure_class", EVERY_CLASS, ids=explorables.__all__)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    explorable_pages.write_files(folder / "explorables")
    return folder


@pytest.fixture
def open_page(browser, folder):  # noqa: F811
    """Opens a page that shows these figures; at the end, no error may have been seen, nor a request to elsewhere.

    What figures can begin without is not sent but put into the list ``hold``, if one is given.
    """
    contexts, problems = [], []

    def look_at_request(request):
        if not request.url.startswith((folder.as_uri(), "data:", "blob:")):
            problems.append(f"request to another place: {request.url}")

    def open_page(*figures, look="light", width=WIDTHS[0], hold=None, **options):
        body = "".join(figure.html() for figure in figures)
        now, later = explorable_pages.scripts_of(body)
        scripts = "".join(f'<script defer src="explorables/{name}"></script>' for name in now)
        scripts += "".join(f'<script type="later" src="explorables/{name}"></script>' for name in later)
        text = PAGE.format(look=look, styles=STYLES, scripts=scripts, body=body)
        (folder / "page.html").write_text(text, encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=look, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: problems.append(f"error in a script: {error}"))
        page.on("console", lambda line: problems.append(line.text) if line.type in ("error", "warning") else None)
        page.on("request", look_at_request)
        page.on("requestfailed", lambda request: problems.append(f"request that failed: {request.url}"))
        if hold is not None:
            for name in later:
                page.route(f"**/{name}", lambda route: hold.append(route))
        page.goto((folder / "page.html").as_uri())
        if hold is None and options.get("java_script_enabled", True):
            page.wait_for_function(ALL_HAS_COME)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)


ALL_HAS_COME = """() => [...document.querySelectorAll('.mounted[data-later]')].every(
    figure => figure.dataset.later.split(' ').every(name => name in figure.model.get('data')))"""

SHOWN = """figure => {
    const shown = {};
    for (const each of figure.querySelectorAll('[data-value]')) {
        if (each.closest('[hidden]')) continue;
        const numbers = each.numbers || [Number(each.dataset.number)];
        const texts = each.numbers ? [] : [each.firstChild.data || each.textContent];
        const known = (shown[each.dataset.value] ||= {numbers: [], texts: []});
        known.numbers.push(...numbers);
        known.texts.push(...texts);
    }
    return shown;
}"""


def of_text(text):
    """The number that a text shows, and how far from it the true one may be: half of the last digit.

    Zeros at the end are not written, so below 100 two decimals count where fewer are seen.
    """
    text = text.replace("−", "-").replace(",", "").strip()
    if fraction := re.fullmatch(r"(-?\d+)/(\d+)", text):
        return int(fraction[1]) / int(fraction[2]), 1e-9
    number = re.fullmatch(r"(-?\d+(?:\.(\d+))?)(%?)", text)
    assert number, f"{text!r} is no number, and is said to show one"
    value, decimals = float(number[1]), len(number[2] or "")
    if number[3]:
        return value / 100, 0.005000001 * 10**-decimals
    return value, 0.5000001 * 10 ** -(decimals if decimals > 2 or abs(value) >= 100 else 2)


def compare(shown, figure, tolerances):
    expected = figure.numbers()
    assert shown.keys() == expected.keys(), figure.state
    for name, value in expected.items():
        relative = tolerances.get(name, 1e-6)
        assert shown[name]["numbers"] == pytest.approx(flat(value), rel=relative, abs=1e-9), (name, figure.state)
        for text, number in zip(shown[name]["texts"], shown[name]["numbers"]):
            read, half = of_text(text)
            assert abs(read - number) <= half, (name, text, number)


@each_class
def test_the_page_shows_the_numbers_of_helpers_in_many_states(open_page, figure_class):
    place = open_page(figure_class()).locator("[data-explorable].mounted")
    tolerances = getattr(of_tests(figure_class), "TOLERANCE", {})
    compare(place.evaluate(SHOWN), figure_class(), tolerances)
    generator = random.Random(0)
    states = [of_tests(figure_class).random_state(generator) for _ in range(STATES)]
    shown = place.evaluate(
        f"(figure, states) => states.map(state => {{ figure.model.set(state); return ({SHOWN})(figure); }})", states
    )
    for state, numbers in zip(states, shown, strict=True):
        compare(numbers, figure_class(**state), tolerances)


@each_class
def test_what_is_said_does_not_outlive_the_state_that_it_speaks_of(open_page, figure_class):
    said = open_page(figure_class()).locator(".spoken, .refused")
    said.evaluate_all("all => all.forEach(each => { each.textContent = 'as it was' })")
    state = of_tests(figure_class).random_state(random.Random(3))
    said.first.evaluate("(said, state) => said.closest('[data-explorable]').model.set(state)", state)
    assert set(said.all_text_contents()) == {""}


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@each_class
def test_the_figure_fits_and_is_accessible(open_page, figure_class, width, look):
    page = open_page(figure_class(), width=width, look=look)
    page.locator("[data-explorable].mounted").wait_for()
    generator = random.Random(3)
    for state in [{}] + [of_tests(figure_class).random_state(generator) for _ in range(2)]:
        page.locator("[data-explorable]").evaluate("(figure, state) => figure.model.set(state)", state)
        assert page.evaluate(LOOK_AT_PAGE) == []
        assert page.evaluate(SMALL) == []
    page.evaluate(axe())
    assert page.evaluate(AXE) == []


@pytest.mark.parametrize("width", [320, WIDTHS[1]])
@each_class
def test_nothing_is_wider_than_its_place_even_on_the_smallest_screen(open_page, figure_class, width):
    page = open_page(figure_class(), width=width)
    generator = random.Random(8)
    for state in [{}] + [of_tests(figure_class).random_state(generator) for _ in range(4)]:
        page.locator("[data-explorable]").evaluate("(figure, state) => figure.model.set(state)", state)
        assert page.evaluate(LOOK_AT_PAGE) == []
        assert page.evaluate(TOO_WIDE) == []


# A press on a board counts where its cells are, so these must not stick out; nor may what is written on a button.
TOO_WIDE = """[...document.querySelectorAll('.live .board .line, .live button, .live .joined-units')].filter(
    each => each.checkVisibility() && (each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1)
        || each.parentElement.matches('.board') && each.offsetWidth > each.parentElement.clientWidth + 1
).map(each => each.outerHTML.slice(0, 200))"""


@each_class
def test_a_finger_that_scrolls_the_page_changes_nothing_and_one_that_taps_does(open_page, figure_class):
    page = open_page(figure_class(), width=WIDTHS[1], has_touch=True, is_mobile=True)
    page.evaluate("document.body.append(Object.assign(document.createElement('div'), {style: 'height: 3000px'}))")
    figure, finger = page.locator("[data-explorable].mounted"), page.context.new_cdp_session(page)
    state = "figure => JSON.stringify([...Object.keys(JSON.parse(figure.dataset.state))].map(name => figure.model.get(name)))"
    boards = page.locator(".live .board.pointed:not(.drawing), .live .mesh, .live .cut").locator("visible=true")
    for board in boards.all():
        board.scroll_into_view_if_needed()
        board.evaluate("board => scrollBy(0, board.getBoundingClientRect().top - 300)")
        box, before, top = board.bounding_box(), figure.evaluate(state), page.evaluate("scrollY")
        place = {"x": box["x"] + 0.8 * box["width"], "y": box["y"] + 0.8 * box["height"]}
        finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [place]})
        for step in range(1, 9):
            moved = {"x": place["x"] + step % 2, "y": place["y"] - 20 * step}
            finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [moved]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_function("top => scrollY > top + 60", arg=top)
        assert figure.evaluate(state) == before
    if boards.count():
        board = boards.last
        board.scroll_into_view_if_needed()
        box = board.bounding_box()
        page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])
        assert figure.evaluate(state) != before


@pytest.mark.parametrize("look", ["light", "dark"])
@each_class
def test_what_is_chosen_can_be_seen_where_the_system_forces_its_colours(open_page, figure_class, look):
    page = open_page(figure_class(), look=look, forced_colors="active")
    looks = "span => getComputedStyle(span).backgroundColor"
    for group in page.locator(".live .radios:visible").all():
        chosen = {span.evaluate(looks) for span in group.locator("input:checked + span").all()}
        others = {span.evaluate(looks) for span in group.locator("input:not(:checked) + span").all()}
        assert chosen and not chosen & others
    for drawn in page.locator(".live .bars li:not(.head) i, .live .scale i").all():
        assert "gradient" in drawn.evaluate("drawn => getComputedStyle(drawn).backgroundImage")
    for frame in page.locator(".live .frame:visible").all():
        assert frame.evaluate("frame => getComputedStyle(frame).boxShadow") != "none", "or it is black on black"
    page.evaluate(axe())
    assert page.evaluate(AXE) == []


# What is too small to touch, or to read.
SMALL = """() => {
    const live = [...document.querySelectorAll('.live *')].filter(element => element.checkVisibility());
    const small = live.filter(element => element.matches('button, select, input, [tabindex]')).filter(control => {
        const box = (control.closest('label.tick') || control).getBoundingClientRect();
        return Math.min(box.width, box.height) < 43.9;
    });
    const fine = live.filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
        .filter(element => parseFloat(getComputedStyle(element).fontSize) < 12);
    return [...small, ...fine].map(element => element.outerHTML.slice(0, 200));
}"""


@each_class
def test_tab_reaches_every_control_and_shows_where_it_is(open_page, figure_class):
    page = open_page(figure_class())
    reachable = """[...document.querySelectorAll('.live button, .live select, .live input, .live [tabindex]')].filter(
        element => element.checkVisibility() && element.tabIndex >= 0
            && !(element.type === 'radio' && !element.checked))"""
    count = page.evaluate(f"(self.controls = {reachable}).length")
    assert count, "there is nothing to move"
    for i in range(count):
        page.keyboard.press("Tab")
        assert page.evaluate("i => document.activeElement === controls[i]", i), page.evaluate("i => controls[i].outerHTML", i)
        outlined = "e => e && (getComputedStyle(e).outlineStyle !== 'none')"
        assert page.evaluate(f"[document.activeElement, document.activeElement.nextElementSibling].some({outlined})")


@each_class
def test_the_mouse_moves_it(open_page, figure_class):
    page = open_page(figure_class())
    of_tests(figure_class).by_mouse(page, page.locator("[data-explorable].mounted"))


@each_class
def test_the_keyboard_moves_it(open_page, figure_class):
    page = open_page(figure_class())
    of_tests(figure_class).by_keyboard(page, page.locator("[data-explorable].mounted"))


@each_class
def test_readers_who_want_no_motion_step(open_page, figure_class):
    page = open_page(figure_class(), reduced_motion="reduce")
    page.locator("[data-explorable].mounted").wait_for()
    assert not page.get_by_role("button", name="Play").count()


@each_class
def test_the_fallback_is_what_is_printed(open_page, figure_class):
    page = open_page(figure_class())
    live, fallback = page.locator(".live"), page.locator(".fallback")
    assert live.is_visible() and not fallback.is_visible()
    page.emulate_media(media="print")
    assert fallback.is_visible() and not live.is_visible()


@each_class
def test_the_fallback_is_what_shows_without_javascript(open_page, figure_class):
    page = open_page(figure_class(), java_script_enabled=False)
    assert page.locator(".fallback").is_visible() and not page.locator(".live").count()


def test_all_figures_stand_in_one_page_and_each_moves_by_itself(open_page):
    figures = [figure_class() for figure_class in EVERY_CLASS for _ in range(2)]
    page = open_page(*figures)
    assert page.locator("[data-explorable].mounted").count() == len(figures)
    page.locator("[data-explorable=convolution]").first.get_by_role("button", name="Next").click()
    positions = page.evaluate(
        "[...document.querySelectorAll('[data-explorable=convolution]')].map(f => f.model.get('position'))"
    )
    assert positions == [[0, 1], [0, 0]]
    page.evaluate(axe())
    assert page.evaluate(AXE) == []


def test_a_figure_that_fails_leaves_its_fallback(browser, folder):  # noqa: F811
    html = explorables.Convolution().html().replace("data-state=", "data-state='{' data-not=")
    html = html.replace("data-needs=", "data-none=")
    names = ("drawing", "convolution", "page")
    scripts = "".join(f'<script defer src="explorables/{name}.js"></script>' for name in names)
    (folder / "broken.html").write_text(PAGE.format(look="light", styles="", scripts=scripts, body=html), encoding="utf-8")
    page = browser.new_page()
    errors = []
    page.on("console", lambda line: errors.append(line.text))
    page.goto((folder / "broken.html").as_uri())
    assert page.locator(".fallback").is_visible() and errors
    assert page.get_by_text("This figure could not be loaded, so it cannot be moved. Reload the page").is_visible()
    page.close()


def test_a_reader_is_told_when_what_all_figures_share_does_not_come(browser, folder):  # noqa: F811
    body = explorables.Convolution().html() + explorables.Sizes().html()
    now, _ = explorable_pages.scripts_of(body)
    scripts = "".join(f'<script defer src="explorables/{name}"></script>' for name in now)
    (folder / "bare.html").write_text(PAGE.format(look="light", styles="", scripts=scripts, body=body), encoding="utf-8")
    page = browser.new_page()
    page.route("**/drawing.js", lambda route: route.abort())
    page.goto((folder / "bare.html").as_uri())
    told = page.get_by_text("This figure could not be loaded, so it cannot be moved. Reload the page to try again.")
    told.first.wait_for()
    assert told.count() == page.locator(".fallback:visible").count() == 2
    page.close()


def test_a_reader_is_told_when_the_rest_of_a_figure_does_not_come(browser, folder):  # noqa: F811
    figures = [explorables.LeNet(), explorables.Convolution()]
    body = "".join(figure.html() for figure in figures)
    now, later = explorable_pages.scripts_of(body)
    scripts = "".join(f'<script defer src="explorables/{name}"></script>' for name in now)
    scripts += "".join(f'<script type="later" src="explorables/{name}"></script>' for name in later)
    (folder / "rest.html").write_text(PAGE.format(look="light", styles="", scripts=scripts, body=body), encoding="utf-8")
    page = browser.new_page()
    page.route("**/data_lenet_augmented.js", lambda route: route.abort())
    page.goto((folder / "rest.html").as_uri())
    page.get_by_text("A part of this figure could not be loaded. Reload the page to try again.").wait_for()
    assert page.locator(".explorable > .refused").count() == 1, "the other figure has all that it needs"
    assert page.locator("[data-explorable=lenet] .answer").inner_text().startswith("LeNet reads 7")
    page.close()


def test_the_page_s_model_behaves_like_the_notebook_s(open_page):
    heard = open_page(explorables.Convolution()).evaluate(
        """() => {
            const model = document.querySelector('[data-explorable]').model, heard = [];
            const listener = () => heard.push(`whole ${model.get('whole')} mode ${model.get('mode')}`);
            model.on('change:whole change:mode', listener);
            model.on('change', () => heard.push('change'));
            model.set('whole', true);
            model.set('whole', true);
            model.set('kernel', model.get('kernel').map(row => [...row]));
            model.set({whole: false, mode: 'convolution'});
            model.off('change:whole', listener);
            model.set('whole', true);
            model.save_changes();
            return heard;
        }"""
    )
    both = "whole false mode convolution"
    assert heard == ["whole true mode cross-correlation", "change", both, both, "change", "change"]


def test_a_page_gets_the_scripts_of_its_own_figures_and_no_others():
    assert explorable_pages.scripts_of("<p>data-explorable</p>") == ([], [])
    html = explorables.Convolution().html()
    convolution = ["drawing.js", "convolution.js", "page.js", "data_digits.js", "data_photograph.js"]
    assert explorable_pages.scripts_of(html * 2) == (convolution, [])
    together, _ = explorable_pages.scripts_of(explorables.LeNet().html() + explorables.Invariances().html())
    assert together[:5] == ["drawing.js", "network.js", "invariances.js", "lenet.js", "page.js"], "what they share, once"


def test_what_one_figure_can_begin_without_comes_at_once_where_another_needs_it():
    plain, augmented = (explorables.Invariances(network=name).html() for name in ("plain", "augmented"))
    code = ["drawing.js", "network.js", "invariances.js", "page.js"]
    digits, *weights = "data_digits.js", "data_lenet_plain.js", "data_lenet_augmented.js"
    assert explorable_pages.scripts_of(plain) == ([*code, digits, weights[0]], weights[1:])
    assert explorable_pages.scripts_of(augmented) == ([*code, digits, weights[1]], weights[:1])
    assert explorable_pages.scripts_of(plain + augmented) == ([*code, digits, *weights], [])


def test_a_figure_answers_before_all_weights_have_come_and_takes_them_when_they_come(open_page):
    held = []
    page = open_page(explorables.LeNet(), explorables.Invariances(digit=4), hold=held)
    lenet, invariances = page.locator("[data-explorable=lenet]"), page.locator("[data-explorable=invariances]")
    page.wait_for_function("document.querySelector('body > script[src*=augmented]')")
    assert page.locator("input:disabled").evaluate_all("all => all.map(each => each.value)") == ["augmented", "augmented"]
    compare(lenet.evaluate(SHOWN), explorables.LeNet(), {})
    assert invariances.get_by_text("still loading").count() == 2
    compare(invariances.evaluate(SHOWN), explorables.Invariances(digit=4, network="plain"), {})
    page.evaluate(axe())
    assert page.evaluate(AXE) == []
    for request in held:
        request.continue_()
    page.wait_for_function(ALL_HAS_COME)
    assert not page.get_by_text("still loading").count()
    assert not page.locator("input:disabled").count()
    compare(invariances.evaluate(SHOWN), explorables.Invariances(digit=4), {})
    lenet.get_by_role("radio", name="distorted at random").check()
    compare(lenet.evaluate(SHOWN), explorables.LeNet(network="augmented"), {})


def test_the_book_s_settings_bring_a_figure_from_a_notebook_into_its_page(browser, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(build_book, "ROOT", tmp_path)
    cell = nbformat.v4.new_code_cell("from helpers import explorables\nexplorables.Convolution(position=(1, 1))")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    source = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Page"), cell], metadata={"kernelspec": kernel})
    nbformat.write(source, tmp_path / "index.ipynb")
    (tmp_path / "other.md").write_text("# No figure here, only the words data-explorable\n")
    build_book.run(tmp_path / "index.ipynb", get_cache(str(tmp_path / "cache")), timeout=60)

    book = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]
    assert "explorable_pages" in book["config"]["extensions"] and "explorable_pages" in book["local_extensions"]
    monkeypatch.syspath_prepend(ROOT / "tools")
    settings = {name: value for name, value in book["config"].items() if name.startswith("nb_")}
    settings |= {"extensions": ["myst_nb", "explorable_pages"], "suppress_warnings": ["toc"], "master_doc": "index"}
    settings |= {
        "nb_execution_mode": "cache",
        "nb_execution_cache_path": str(tmp_path / "cache"),
        "exclude_patterns": ["cache"],
    }
    warnings, pages = io.StringIO(), tmp_path / "pages"
    with docutils_namespace():
        Sphinx(tmp_path, None, pages, tmp_path / "trees", "html", settings, io.StringIO(), warnings).build()
    assert "error" not in warnings.getvalue().lower(), warnings.getvalue()

    text = (pages / "index.html").read_text(encoding="utf-8")
    assert "widget-state" not in text and "widget-view" not in text and "_esm" not in text
    assert "explorables/" not in (pages / "other.html").read_text(encoding="utf-8")
    page = browser.new_page()
    page.goto((pages / "index.html").as_uri())
    page.get_by_role("button", name="Next").click(timeout=10_000)
    assert page.locator("[data-explorable]").evaluate("figure => figure.model.get('position')") == [1, 2]
    page.close()


def test_the_loader_is_small(folder):
    assert len(gzip.compress((folder / "explorables" / "page.js").read_bytes())) <= 2000


@pytest.mark.parametrize("name", trained.NAMES)
def test_the_network_in_the_page_is_that_of_torch_for_100_test_images(open_page, name):
    place = open_page(explorables.LeNet(network=name)).locator("[data-explorable].mounted")
    images = mnist.load("test")[0][:100]
    with torch.no_grad():
        expected = trained.load(name)(images)
    logits, milliseconds = place.evaluate(
        """(figure, images) => {
            const start = performance.now();
            const logits = images.map(image => {
                figure.model.set({image});
                return [...figure.querySelectorAll('[data-value=logits]')].map(each => Number(each.dataset.number));
            });
            return [logits, (performance.now() - start) / images.length];
        }""",
        images[:, 0].tolist(),
    )
    print(f"{milliseconds:.1f} ms for an image, with drawing all of its maps")
    assert (torch.tensor(logits) - expected).abs().max() < 1e-3
    assert milliseconds < 200
