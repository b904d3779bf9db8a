"""Wrong answers to the experiments: each gets exactly its points, and is told its own mistake."""

import contextlib
import dataclasses
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
import torch
import yaml

from helpers.grading import judge
from helpers.grading.experiments import conv2d, mnist_cnn

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(__file__).parent / "mutants"
# Few images, so that 300 steps are enough, and a bar that a network clears by far which learned anything at all. The time
# is what a busy machine may need; a training that is done does not use it up.
QUICK = mnist_cnn.experiment(images=2000, full_marks=0.4, no_marks=0.3, patience=4)
EXPERIMENTS = {"conv2d": dataclasses.replace(conv2d.EXPERIMENT, seconds=400), "mnist_cnn": QUICK}
MUTANTS = {
    (experiment, name): mutant
    for experiment in EXPERIMENTS
    for name, mutant in yaml.safe_load((FOLDER / f"{experiment}.yml").read_text(encoding="utf-8")).items()
}


def mutated(experiment, mutant):
    """The notebook of the solution with one change, or one in two places."""
    notebook = nbformat.read(ROOT / "solutions" / f"{EXPERIMENTS[experiment].stem}.ipynb", as_version=4)
    for old, new in [mutant[key] for key in ("replace", "and") if key in mutant]:
        places = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source]
        assert len(places) == 1 and places[0].source.count(old) == 1, f"{old!r} is not once in the solution"
        places[0].source = places[0].source.replace(old, new)
    return notebook


@pytest.fixture(scope="module")
def grades(request, tmp_path_factory):
    """All mutants that were chosen, graded two at a time: each waits for its own process most of the time."""
    folder, grades = tmp_path_factory.mktemp("mutants"), {}
    items = [item for item in request.session.items if item.path == request.path]
    chosen = {item.callspec.params["key"] for item in items if "grades" in item.fixturenames}
    with ThreadPoolExecutor(2) as pool:
        for number, key in enumerate(sorted(chosen)):
            path = folder / f"{number}.ipynb"
            nbformat.write(mutated(key[0], MUTANTS[key]), path)
            grades[key] = pool.submit(judge.grade, path, EXPERIMENTS[key[0]], seed=1, threads=1)
        yield grades
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("key", MUTANTS, ids=" - ".join)
def test_a_wrong_answer_gets_its_points_and_its_own_diagnosis(key, grades):
    mutant, grade = MUTANTS[key], grades[key].result()
    assert not grade.problem
    checks = [check for check in grade.checks if check.name not in mutant.get("unsteady", ())]
    reasons = {
        check.name: f"{check.message} {check.hint}"
        for check in checks
        if check.points < check.maximum or (check.maximum == 0 and check.message)
    }
    assert set(reasons) == set(mutant["lost"]), reasons
    for name, said in mutant["lost"].items():
        assert said in reasons[name]
    assert sum(check.points for check in checks) == mutant["score"], reasons


@pytest.mark.parametrize("key", [key for key in MUTANTS if "notebook" in MUTANTS[key]], ids=" - ".join)
def test_the_notebooks_own_assert_names_the_mistake(key):
    space = {"display": lambda *values: None}
    with contextlib.redirect_stdout(io.StringIO()), torch.random.fork_rng(), pytest.raises(AssertionError) as failure:
        for cell in mutated(key[0], MUTANTS[key]).cells:
            if cell.cell_type == "code" and "colab" not in cell.metadata.get("tags", []):
                # The learner's cells, up to the first assert that fails.
                exec(compile(cell.source, cell.id, "exec"), space)  # noqa: S102
    assert MUTANTS[key]["notebook"].lower() in str(failure.value).lower()


def test_there_are_enough_mutants_and_each_has_a_diagnosis():
    count = {experiment: sum(key[0] == experiment for key in MUTANTS) for experiment in EXPERIMENTS}
    assert count["conv2d"] >= 12 and count["mnist_cnn"] >= 8
    assert all(mutant["lost"] for mutant in MUTANTS.values())
