"""What it costs to grade one submission: ``python benchmarks/grading.py``, on an idle machine.

It grades, with the times that everybody is given, both solutions, on two processor cores and on one, a notebook of each
experiment whose answers never end, and a folder with CLASS times the solution of experiment 2, on one core. It writes
``results/grading.json``, beside what ``recording.py`` describes:

    isolation       the level that the submissions ran in
    runs            list of
        submission        "01_mnist_cnn, solved", …
        cores             that the judge and its workers had
        budget            seconds that the grading of one may take
        score             of 100
        each              the folder: seconds for one submission, by the clock
        seconds           of the whole run, by the clock; cpu_seconds: of this process alone
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import recording

from helpers.grading import judge, sandbox
from helpers.grading.experiments import conv2d, mnist_cnn

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS = {each.stem: each for each in (mnist_cnn.EXPERIMENT, conv2d.EXPERIMENT)}
PLAN = [
    {"submission": f"{stem}, {state}", "cores": cores}
    for stem in EXPERIMENTS
    for state, cores in (("solved", 2), ("solved", 1), ("looping", 2))
] + [{"submission": "02_conv2d, a class", "cores": 1}]
CLASS = 10
SEED = 1


def looping(stem):
    """The solution with a loop without end at the head of every function."""
    notebook = nbformat.read(ROOT / "solutions" / f"{stem}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "### BEGIN SOLUTION" in cell.source:
            lines = cell.source.split("\n")
            cell.source = "\n".join(
                line.replace("### BEGIN SOLUTION", "while True: pass\n" + line[: line.index("#")] + "pass")
                if "### BEGIN SOLUTION" in line and line.startswith(" ")
                else line
                for line in lines
            )
    return notebook


def perform(submission, cores):
    stem, _, state = submission.partition(", ")
    experiment, source = EXPERIMENTS[stem], ROOT / "solutions" / f"{stem}.ipynb"
    notebook = looping(stem) if state == "looping" else nbformat.read(source, as_version=4)
    everything = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as place:
        names = [f"{number:02}.ipynb" for number in range(CLASS)] if state == "a class" else [source.name]
        paths = [Path(place, "submissions", name) for name in names]
        paths[0].parent.mkdir()
        for path in paths:
            nbformat.write(notebook, path)
        os.sched_setaffinity(0, sorted(everything)[:cores])
        started = time.perf_counter()
        try:
            if state == "a class":
                command = ["-m", "helpers.grading", paths[0].parent, "--out", Path(place, "report"), "--jobs", str(cores)]
                subprocess.run([sys.executable, *command, "--seed", str(SEED)], check=True, stdout=subprocess.DEVNULL)
                with Path(place, "report", "grades.csv").open(encoding="utf-8-sig") as table:
                    scores = {float(row["score"]) for row in csv.DictReader(table)}
                more = {"score": min(scores), "each": round((time.perf_counter() - started) / CLASS, 1)}
            else:
                more = {"score": judge.grade(paths[0], experiment, seed=SEED).score}
        finally:
            os.sched_setaffinity(0, everything)
    return {"seed": SEED, "budget": experiment.seconds} | more


def main():
    record = recording.about(__doc__.split(":")[0], "python benchmarks/grading.py")
    record |= {"isolation": sandbox.best_level()[0]}
    recording.keep_going(recording.RESULTS / "grading.json", record, PLAN, perform, lambda record, keys: record.get("versions"))


if __name__ == "__main__":
    recording.run_until_interrupted(main)
