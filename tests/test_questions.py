"""Every question has a reply to every answer, stands in its chapter, and can be answered by keyboard in a plain page."""

import importlib
import json
import pkgutil
import re
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

import helpers.questions
from helpers.questions import MOST_CHOICES, Choices, Number, Right, Wrong
from test_pages import AXE, axe, browser  # noqa: F401 (browser is a fixture)

CHAPTERS = sorted((Path(__file__).parent.parent / "chapters").glob("[0-9][0-9]_*.ipynb"))
NAMES = [path.stem.partition("_")[2] for path in CHAPTERS]
MODULES = [module.name for module in pkgutil.iter_modules(helpers.questions.__path__)]

ONE, TWO = Right("one", "There is only one."), Wrong("two", "You counted `it` twice & more.")
CHOICES = Choices("How many?", TWO, ONE, Wrong("none", "Look again."))
NUMBER = Number(
    "How many then?", answer=1516, right="Yes, so many.", wrong={15: "Too few.", -3: "Below <zero>."}, other="Count."
)
DECIMAL = Number(
    "A third?", answer=1 / 3, right="Near enough.", wrong={3: "Turned over."}, other="Divide.", tolerance=0.005
)


def questions_of(name):
    module = importlib.import_module(f"helpers.questions.{name}")
    return {key: value for key, value in vars(module).items() if isinstance(value, (Choices, Number))}


def test_choices_without_a_right_one_or_with_two_are_refused():
    with pytest.raises(ValueError, match="exactly one Right.*got 0"):
        Choices("How many?", TWO, Wrong("three", "Look again."))
    with pytest.raises(ValueError, match="exactly one Right.*got 2"):
        Choices("How many?", ONE, Right("1", "The same."))
    with pytest.raises(ValueError, match="two to 8 choices"):
        Choices("How many?", ONE)
    with pytest.raises(ValueError, match="Right.* or Wrong"):
        Choices("How many?", ONE, ("two", "You counted it twice."))
    with pytest.raises(ValueError, match="the same choice twice"):
        Choices("How many?", ONE, Wrong("one", "Look again."))


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_a_question_or_a_reply_without_text_is_refused(empty):
    with pytest.raises(ValueError, match="has no text"):
        Choices(empty, ONE, TWO)
    with pytest.raises(ValueError, match="no reply to the choice 'two'"):
        Choices("How many?", ONE, Wrong("two", empty))
    for part in ({"right": empty}, {"wrong": {2: empty}}, {"other": empty}):
        with pytest.raises(ValueError, match="no reply to"):
            Number("How many?", **{"answer": 1, "right": "One.", "wrong": {2: "Two."}, "other": "Count.", **part})


def test_a_number_needs_numbers_and_wrong_ones_that_are_wrong():
    texts = {"right": "One.", "other": "Count."}
    with pytest.raises(ValueError, match="has its answer, 1, among the wrong numbers"):
        Number("How many?", answer=1, wrong={1.0: "One?"}, **texts)
    with pytest.raises(ValueError, match="among the wrong numbers: 1.01"):
        Number("How many?", answer=1, wrong={1.01: "One?"}, tolerance=0.02, **texts)
    with pytest.raises(ValueError, match="at least one wrong number"):
        Number("How many?", answer=1, wrong={}, **texts)
    for answer in ("1", True, None, float("nan")):
        with pytest.raises(TypeError, match="needs numbers"):
            Number("How many?", answer=answer, wrong={2: "Two."}, **texts)


def test_a_reply_that_brings_its_own_verdict_is_refused():
    for reply in ("Right: there is one.", "Not quite. Look.", "Wrong, look again."):
        with pytest.raises(ValueError, match="begins with a verdict"):
            Choices("How many?", ONE, Wrong("two", reply))
    Choices("How many?", ONE, Wrong("two", "Wrong padding makes it two."))


def test_the_text_that_git_holds_does_not_tell_the_answer():
    assert repr(CHOICES) == "Question: How many?\n- two\n- one\n- none"
    assert repr(NUMBER) == "Question: How many then?\n- a number"


def test_html_is_escaped_and_code_is_set_as_code():
    html = CHOICES._repr_html_() + NUMBER._repr_html_()
    assert "You counted <code>it</code> twice &amp; more." in html and "Below &lt;zero&gt;." in html


def test_several_questions_on_a_page_do_not_meet():
    page = BeautifulSoup(CHOICES._repr_html_() + NUMBER._repr_html_() + DECIMAL._repr_html_(), "html.parser")
    ids = [element["id"] for element in page.select("[id]")]
    assert len(ids) == len(set(ids))
    assert CHOICES._repr_html_() == CHOICES._repr_html_()


@pytest.mark.parametrize("name", NAMES)
def test_each_question_stands_once_in_its_chapter_and_there_are_enough(name):
    assert name in MODULES, f"helpers/questions/{name}.py is missing: chapter {name} has no questions"
    questions = questions_of(name)
    notebook = json.loads(CHAPTERS[NAMES.index(name)].read_text(encoding="utf-8"))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    asked = Counter(match[1] for source in code if (match := re.fullmatch(r"questions\.(\w+)", source.strip())))
    mentioned = Counter(word for source in code for word in re.findall(r"\bquestions\.(\w+)", source))
    del mentioned[name]  # `from helpers.questions import name`
    assert asked == mentioned, "a question is a cell of its own"
    assert asked == Counter(list(questions)), (
        f"asked in the chapter, or kept in helpers/questions/{name}.py, but not both"
    )
    assert len(questions) >= 5
    assert any(isinstance(question, Number) for question in questions.values())
    for cell in notebook["cells"]:
        if "".join(cell["source"]).startswith("questions."):
            assert "remove-input" in cell["metadata"].get("tags", []), f"{cell['source']}: tag it remove-input"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_questions_belongs_to_a_chapter_and_repeats_none(name):
    assert name in NAMES, f"helpers/questions/{name}.py has no chapter"
    stems = [question.stem for question in questions_of(name).values()]
    assert len(stems) == len(set(stems))
    texts = Counter()
    for question in questions_of(name).values():
        replies = [choice.reply for choice in question.choices] if isinstance(question, Choices) else []
        replies = replies or [question.right, question.other, *question.wrong.values()]
        texts.update(replies)
        assert len(replies) >= 3 and all(len(reply.split()) >= 3 for reply in replies), question.stem
        assert not re.search(r"\$|\\\w", question.stem + "".join(replies)), f"{question.stem}: no LaTeX in questions"
    assert not [reply for reply, count in texts.items() if count > 2], "a reply is about one mistake"


@pytest.fixture
def open_page(browser, tmp_path):  # noqa: F811
    contexts = []

    def open_with(*questions, **options):
        body = "".join(question._repr_html_() for question in questions)
        look = "<style>:root{color-scheme:light dark}body{font:16px sans-serif}</style>"
        head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Questions</title>{look}'
        html = f"{head}<main><h1>Questions</h1>{body}</main>"
        (tmp_path / "page.html").write_text(html, encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": 390, "height": 900}, **options))
        tab = contexts[-1].new_page()
        tab.goto((tmp_path / "page.html").as_uri())
        return tab

    yield open_with
    for context in contexts:
        context.close()


def shown(tab, number=0):
    return tab.locator("[role=status]").nth(number).inner_text().strip()


@pytest.mark.parametrize("javascript", [True, False])
def test_choices_are_answered_by_keyboard_with_and_without_javascript(open_page, javascript):
    tab = open_page(CHOICES, java_script_enabled=javascript)
    assert shown(tab) == ""
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    assert shown(tab) == "Not quite. You counted it twice & more."
    tab.keyboard.press("ArrowDown")
    assert shown(tab) == "Right. There is only one."
    tab.keyboard.press("ArrowDown")
    assert shown(tab) == "Not quite. Look again."


def test_the_last_of_as_many_choices_as_can_be_has_its_reply(open_page):
    many = [Wrong(f"choice {i}", f"That is reply {i}.") for i in range(MOST_CHOICES - 1)]
    tab = open_page(Choices("Which?", *many, Right("the last", "It is the last.")))
    for i in range(MOST_CHOICES - 1):
        tab.get_by_label(f"choice {i}").check()
        assert shown(tab) == f"Not quite. That is reply {i}."
    tab.get_by_label("the last").check()
    assert shown(tab) == "Right. It is the last."


@pytest.mark.parametrize(
    ("typed", "reply"),
    [
        *(
            (typed, "Right. Yes, so many.")
            for typed in ("1516", " 1,516 ", "1 516", "1516.0", "1’516", "+1516", "1516,")
        ),
        *((typed, "Not quite. Below <zero>.") for typed in ("-3", "−3", "– 3", "-3.0", "-3,00")),
        *((typed, "Not quite. Too few.") for typed in ("15", "15.", "015")),
        *((typed, "Not quite. Count.") for typed in ("1517", "1.516", "0", "-1516", "15,5", ".5")),
        *(
            (typed, "Type one number, such as 12, −3 or 0.5.")
            for typed in ("", " ", "many", "15 cells", "1e3", "0x10", "-", ",")
        ),
    ],
)
def test_a_number_is_read_as_people_write_it(open_page, typed, reply):
    tab = open_page(NUMBER)
    tab.keyboard.press("Tab")
    tab.keyboard.insert_text(typed)
    tab.keyboard.press("Enter")
    assert shown(tab) == reply


def test_a_number_near_enough_is_right_and_each_question_checks_its_own(open_page):
    tab = open_page(NUMBER, DECIMAL)
    for typed, reply in {
        "0.33": "Right. Near enough.",
        "0,3333": "Right. Near enough.",
        "0.3": "Not quite. Divide.",
    }.items():
        tab.get_by_label("A third?").fill(typed)
        tab.get_by_role("button").nth(1).click()
        assert shown(tab, 1) == reply and shown(tab, 0) == ""


def test_without_javascript_the_answer_can_be_opened_and_no_dead_button_shows(open_page):
    tab = open_page(NUMBER, java_script_enabled=False)
    assert not tab.get_by_role("button").is_visible() and not tab.locator("input").is_visible()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert "1,516: Right. Yes, so many." in tab.locator("details").inner_text()


def test_in_print_all_replies_show(open_page):
    tab = open_page(CHOICES, NUMBER)
    tab.emulate_media(media="print")
    assert "one: Right. There is only one." in shown(tab) and "none: Not quite. Look again." in shown(tab)
    assert tab.locator("details li").first.is_visible()


@pytest.mark.parametrize("look", ["light", "dark"])
def test_questions_are_accessible_and_large_enough_for_a_finger(open_page, look):
    tab = open_page(CHOICES, NUMBER, DECIMAL, color_scheme=look)
    tab.get_by_label("two").check()
    tab.get_by_label("How many then?").fill("15")
    tab.get_by_role("button").first.click()
    tab.evaluate(axe())
    assert tab.evaluate(AXE) == []
    targets = "[...document.querySelectorAll('label:not(.stem), .typed > *, summary')]"
    assert tab.evaluate(f"{targets}.filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML)") == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
