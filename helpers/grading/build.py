"""Make the exercises from the solutions: ``python -m helpers.grading.build``, and ``--check`` to see that they match.

``solutions/NAME.ipynb`` is the only source. What stands between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` becomes
``raise NotImplementedError``; the work is done by nbgrader's preprocessors, used as a library.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STUB = "raise NotImplementedError  # your code in its place"


def exercise(solution):
    """Make the text of an exercise of the text of its solution (both notebooks, as they lie in files).

    Raises
    ------
    RuntimeError
        If a solution's markers do not match, or a cell with one is not marked as a solution cell for nbgrader.
    """
    import nbformat
    from nbgrader.preprocessors import ClearHiddenTests, ClearOutput, ClearSolutions, LockCells

    notebook = nbformat.reads(solution, as_version=4)
    answers = sum("### BEGIN SOLUTION" in cell.source for cell in notebook.cells)
    if not answers:
        raise RuntimeError("there is no ### BEGIN SOLUTION in it")
    for preprocessor in (
        ClearSolutions(code_stub={"python": STUB}, begin_solution_delimeter="### BEGIN SOLUTION",
                       end_solution_delimeter="### END SOLUTION"),
        ClearHiddenTests(),
        ClearOutput(),
        LockCells(),
    ):  # fmt: skip
        notebook, _ = preprocessor.preprocess(notebook, {})
    return nbformat.writes(notebook, version=4, indent=1).rstrip("\n") + "\n"


def main(arguments=None, root=ROOT):
    """Write ``exercises/`` from ``solutions/``, or compare them.

    Returns
    -------
    int
        0 if the exercises are now what the solutions make, 1 if not.
    """
    parser = argparse.ArgumentParser(prog="python -m helpers.grading.build", description="Make exercises/ from solutions/.")
    parser.add_argument("--check", action="store_true", help="write nothing, say what does not match")
    check = parser.parse_args(arguments).check
    try:
        import nbgrader  # noqa: F401
    except ImportError:
        print("nbgrader is missing: pip install 'convolution-by-hand[teacher]', or make exercises", file=sys.stderr)
        return 1

    wrong = 0
    solutions = sorted((root / "solutions").glob("*.ipynb"))
    if not solutions:
        print(f"there is no notebook in {root / 'solutions'}", file=sys.stderr)
        return 1
    for path in solutions:
        target = root / "exercises" / path.name
        try:
            text = exercise(path.read_text(encoding="utf-8"))
        except Exception as error:  # noqa: BLE001 - nbformat and nbgrader raise many kinds
            print(f"solutions/{path.name}: {' '.join(str(error).split())[:300]}", file=sys.stderr)
            wrong += 1
            continue
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"exercises/{path.name} is not what solutions/{path.name} makes: run make exercises", file=sys.stderr)
            wrong += 1
        else:
            _replace(target, text)
            print(f"exercises/{path.name}: written")
    for path in sorted((root / "exercises").glob("*.ipynb")):
        if not (root / "solutions" / path.name).exists():
            print(f"exercises/{path.name} has no solution: delete it, or write solutions/{path.name}", file=sys.stderr)
            wrong += 1
    return 1 if wrong else 0


def _replace(path, text):
    # In one step: whatever happens, the file is the old one or the new one.
    path.parent.mkdir(exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
    except BaseException:
        os.unlink(scratch)
        raise


if __name__ == "__main__":
    sys.exit(main())
