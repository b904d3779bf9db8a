"""What it costs to grade one submission: ``python benchmarks/grading.py``, on an idle machine.

It grades, with the times that everybody is given, both solutions, one notebook of each experiment whose answers never
end, and writes ``results/grading.json``, beside what ``recording.py`` describes:

    isolation       the level that the submissions ran in
    runs            list of
        submission        "01_mnist_cnn, solved", …
        budget            seconds that the grading may take
        score             of 100
        seconds           of the whole grading, by the clock
        all_cpu_seconds   of the judge and of its workers; cpu_seconds: of the judge alone
"""

import resource
import tempfile
from pathlib import Path

import nbformat
import recording

from helpers.grading import judge, sandbox
from helpers.grading.experiments import conv2d, mnist_cnn

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS = {each.stem: each for each in (mnist_cnn.EXPERIMENT, conv2d.EXPERIMENT)}
PLAN = [{"submission": f"{stem}, {state}"} for stem in EXPERIMENTS for state in ("solved", "looping")]
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


def computed():
    """Seconds of processor time so far: this process and its children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def perform(submission):
    stem, _, state = submission.partition(", ")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{stem}.ipynb"
        nbformat.write(looping(stem) if state == "looping" else nbformat.read(ROOT / "solutions" / path.name, 4), path)
        before = computed()
        grade = judge.grade(path, EXPERIMENTS[stem], seed=SEED)
    # The recording adds the judge's seconds alone.
    return {
        "seed": SEED,
        "budget": EXPERIMENTS[stem].seconds,
        "score": grade.score,
        "all_cpu_seconds": round(computed() - before, 1),
    }


def main():
    record = recording.about(__doc__.split(":")[0], "python benchmarks/grading.py")
    record |= {"isolation": sandbox.best_level()[0]}
    recording.keep_going(recording.RESULTS / "grading.json", record, PLAN, perform, lambda record, keys: record.get("versions"))


if __name__ == "__main__":
    recording.run_until_interrupted(main)
