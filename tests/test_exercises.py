"""exercises/ and solutions/: what a learner gets is what the solutions make, asks for what is missing, and can be solved."""

import dataclasses
import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from helpers.grading import build, judge
from helpers.grading.experiments import conv2d, mnist_cnn

ROOT = Path(__file__).resolve().parent.parent
STEMS = ["01_mnist_cnn", "02_conv2d"]
# On a busy machine the last tenths of a percent cannot be had in time: here the solution only has to be far from chance.
QUICK = mnist_cnn.experiment(images=4000, full_marks=0.8, no_marks=0.3, patience=4)
EXPERIMENTS = {"01_mnist_cnn": QUICK, "02_conv2d": dataclasses.replace(conv2d.EXPERIMENT, seconds=400)}


def notebook(folder, stem):
    return nbformat.read(ROOT / folder / f"{stem}.ipynb", as_version=4)


def executed(notebook, monkeypatch, allow_errors=False):
    """Run a notebook as Jupyter does, in the folder of the exercises."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", allow_errors=allow_errors,
        resources={"metadata": {"path": str(ROOT / "exercises")}},
    )  # fmt: skip
    client.execute()
    return notebook


def test_the_exercises_are_what_the_solutions_make(capsys):
    assert build.main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: (root / "exercises/a.ipynb").write_text("{}"), "is not what solutions/a.ipynb makes"),
        (lambda root: (root / "exercises/b.ipynb").write_text("{}"), "exercises/b.ipynb has no solution"),
        (lambda root: (root / "solutions/a.ipynb").write_text("{"), "solutions/a.ipynb: "),
    ],
    ids=["an exercise edited by hand", "an exercise without a solution", "a broken solution"],
)
def test_a_mismatch_is_named_and_changes_nothing(change, said, tmp_path, capsys):
    for folder in ("solutions", "exercises"):
        (tmp_path / folder).mkdir()
    (tmp_path / "solutions/a.ipynb").write_text((ROOT / "solutions/02_conv2d.ipynb").read_text(encoding="utf-8"), encoding="utf-8")
    assert build.main([], root=tmp_path) == 0
    assert build.main(["--check"], root=tmp_path) == 0
    change(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.ipynb")}
    assert build.main(["--check"], root=tmp_path) == 1
    assert said in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.ipynb")} == before


@pytest.mark.parametrize("stem", STEMS)
def test_nothing_of_an_answer_is_left_in_an_exercise(stem):
    exercise, solution = notebook("exercises", stem), notebook("solutions", stem)
    text = json.dumps(exercise, ensure_ascii=False)
    assert "SOLUTION" not in text
    assert not any(cell.get("outputs") for cell in exercise.cells)
    lines = {line.strip() for cell in exercise.cells if cell.cell_type == "code" for line in cell.source.splitlines()}
    for cell in solution.cells:
        if "### BEGIN SOLUTION" in cell.source:
            answer = cell.source.split("### BEGIN SOLUTION")[1].split("### END SOLUTION")[0]
            long = {line.strip() for line in answer.splitlines() if len(line.strip()) > 25}
            # Lines that tests of an exercise share with an answer would give it away.
            assert not long & lines


@pytest.mark.parametrize("stem", STEMS)
def test_an_untouched_exercise_stops_only_where_an_answer_is_missing(stem, monkeypatch):
    errors = [
        (cell.id, output.ename, output.evalue)
        for cell in executed(notebook("exercises", stem), monkeypatch, allow_errors=True).cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    # Also cells further down, which need what is missing: no NameError, no message about a mistake that nobody made.
    assert errors and {kind for _, kind, _ in errors} == {"NotImplementedError"}, errors


@pytest.mark.parametrize("stem", STEMS)
def test_a_solution_runs_from_top_to_bottom(stem, monkeypatch):
    executed(notebook("solutions", stem), monkeypatch)


@pytest.mark.parametrize("stem", STEMS)
def test_a_solution_gets_all_points_and_an_untouched_exercise_none(stem):
    solved = judge.grade(ROOT / "solutions" / f"{stem}.ipynb", EXPERIMENTS[stem])
    assert solved.score == solved.maximum == 100, [(check.name, check.points, check.message) for check in solved.checks]
    assert not solved.held and not solved.flags and not solved.problem
    untouched = judge.grade(ROOT / "exercises" / f"{stem}.ipynb", EXPERIMENTS[stem])
    assert untouched.score == 0 and not untouched.problem and not untouched.flags
    for check in untouched.checks:
        assert check.unfinished and "Not filled in yet" in check.message, (check.name, check.message)


def test_the_page_how_grading_works_lists_every_check_with_its_points():
    page = (ROOT / "grading.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| check \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert len(tables) == 2
    for table, experiment in zip(tables, (mnist_cnn.EXPERIMENT, conv2d.EXPERIMENT)):
        rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.splitlines()]
        assert rows == [[check.name, f"{check.points:g}"] for check in experiment.checks]
        assert experiment.points == 100
