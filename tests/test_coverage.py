"""Every row of the lecture has its place in the course, and this check can fail."""

import json
from pathlib import Path

import pytest
import yaml

from tools import coverage_page
from tools.coverage_page import Home, find_homes, marked_tests, read_lecture

ROOT = Path(__file__).resolve().parent.parent
PARTS, SLIPS = read_lecture(ROOT)
ROWS = [row for _, rows in PARTS for row in rows]


@pytest.fixture(scope="module")
def homes():
    return find_homes(ROOT)


def test_the_lecture_has_44_rows_and_12_slips():
    expected = [f"{letter}{i}" for letter, count in zip("RCSPNIH", (7, 10, 7, 4, 7, 7, 2)) for i in range(1, count + 1)]
    assert ROWS == expected and len(ROWS) == 44
    assert list(SLIPS) == [f"slip-{i}" for i in range(1, 13)]


@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_explained_computed_and_shown(homes, row):
    assert not homes[row].missing(), f"{row} has no {' and no '.join(homes[row].missing())}"


@pytest.mark.parametrize("slip", SLIPS)
def test_each_slip_has_its_note(homes, slip):
    assert homes[slip].explanations, f"no Markdown cell is tagged {slip}"


def markdown(source, *tags):
    return {"cell_type": "markdown", "source": source, "metadata": {"tags": list(tags)}}


def code(source, *tags, texts=(), printed=""):
    outputs = [{"output_type": "display_data", "data": {"text/plain": text}} for text in texts]
    outputs += [{"output_type": "stream", "name": "stdout", "text": printed}] if printed else []
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}, "outputs": outputs}


@pytest.fixture
def course(tmp_path):
    lecture = {"parts": [{"title": "One", "rows": {"A1": "First", "A2": "Second"}}], "slips": {1: "A slip"}}
    (tmp_path / "lecture.yml").write_text(yaml.safe_dump(lecture))
    (tmp_path / "chapters").mkdir()
    (tmp_path / "tests").mkdir()

    def write(*cells, test=""):
        (tmp_path / "chapters" / "01_one.ipynb").write_text(json.dumps({"cells": cells}))
        (tmp_path / "tests" / "test_one.py").write_text(test)
        return find_homes(tmp_path)

    return write


def test_a_row_that_nothing_carries_is_found(course):
    assert course()["A1"].missing() == ["explanations", "computations", "figures"]
    assert course(markdown("Text.", "A1"))["A1"].missing() == ["computations", "figures"]
    picture = code("draw()", "A1", texts=["Figure: a cat."])
    assert course(picture)["A1"].missing() == ["explanations", "computations"]
    assert course(code("print(1)", "A1", printed="1"))["A1"].missing() == ["explanations", "figures"]
    assert course(code("questions.one", "A1", texts=["Question: One?\n- one"]))["A1"].missing() == [
        "explanations",
        "computations",
        "figures",
    ]
    assert course(markdown("Text.", "A1"), picture, code("assert 1", "A1"))["A1"].missing() == []


def test_a_cell_that_prints_and_draws_counts_as_both(course):
    home = course(code("print(1); draw()", "A1", texts=["Figure: a cat."], printed="1"))["A1"]
    assert len(home.computations) == len(home.figures) == 1


def test_a_figure_that_moves_counts_as_a_figure(course):
    home = course(code("explorables.Sizes()", "A1", texts=["Explorable: a window on an input."]))["A1"]
    assert [text for *_, text in home.figures] == ["a window on an input."] and not home.computations


def test_a_place_is_the_heading_above_or_the_headings_inside(course):
    home = course(
        markdown("# Title\n\nText.\n\n## The `kernel` and {term}`its map <map>`\n\n```python\n# a comment\n```"),
        code("f()", "A1", printed="1"),
        markdown("More.", "A1"),
        markdown("## Then\n\n### Last", "A1"),
    )["A1"]
    assert home.computations == [("01_one", "The kernel and its map")]
    assert home.explanations == [("01_one", title) for title in ("The kernel and its map", "Then", "Last")]


def test_a_cell_about_a_slip_is_named_with_its_row(course):
    homes = course(markdown("# One", "A1", "slip-1"), markdown("More.", "A2"))
    assert homes["A1"].slips == ["slip-1"] and homes["A2"].slips == [] and homes["slip-1"].slips == []


@pytest.mark.parametrize("tag", ["A3", "B1", "a1", "slip-2", "slip1", "Slip-1"])
def test_a_tag_that_looks_like_a_row_and_is_none_is_an_error(course, tag):
    with pytest.raises(ValueError, match=rf"01_one.ipynb, cell 2: lecture.yml has no row '{tag}'"):
        course(markdown("# One"), code("1", "hide-input", tag))


def test_marks_on_tests_groups_and_files_are_read(course):
    test = """
import pytest
pytestmark = [pytest.mark.slow, pytest.mark.row("slip-1")]
@pytest.mark.row("A1", "A2")
@pytest.mark.parametrize("x", [1])
def test_both(x): pass
@pytest.mark.row("A2")
class TestGroup:
    def test_inside(self): pass
def helper(): pass
"""
    homes = course(test=test)
    assert [name for _, name in homes["A1"].tests] == ["test_both"]
    assert [name for _, name in homes["A2"].tests] == ["test_both", "test_inside"]
    assert [name for _, name in homes["slip-1"].tests] == ["test_both", "test_inside"]
    with pytest.raises(ValueError, match="test_one.py, line 2: lecture.yml has no row 'A9'"):
        course(test='import pytest\n@pytest.mark.row("A9")\ndef test_it(): pass\n')
    assert list(marked_tests(Path(coverage_page.__file__))) == []


def test_an_empty_home_lacks_everything():
    assert Home().missing() == ["explanations", "computations", "figures"]
