"""One submission, one grade: reads it, looks at its code, lets each check ask the worker, and adds up."""

import fnmatch
import hashlib
import os
import platform
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from helpers.grading import experiments, remote, rules, sandbox, selection, submission
from helpers.grading.experiments import Missing, Result, Wrong

FOLDER = Path(__file__).parent


@dataclass
class CheckGrade:
    """What one check gave: points of ``maximum``, and ``held`` points that wait for a person.

    ``passed`` says whether all was right, which for an optional check of 0 points the points cannot say; ``unfinished``,
    that the answer was not written yet.
    """

    name: str
    maximum: float
    points: float = 0.0
    held: float = 0.0
    passed: bool = False
    unfinished: bool = False
    message: str = ""
    hint: str = ""
    seconds: float = 0.0


@dataclass
class Grade:
    """The grade of one submission.

    Attributes
    ----------
    file, checksum, experiment, title : str
    problem : str
        Why it could not be graded at all; else empty.
    isolation, isolation_reason : str
        The level that its code ran in, and why it was not the full one.
    seed : int
        ``--seed`` with this number repeats the grading with the same inputs.
    flags : list of str
        What a person should look at.
    notes : list of str
        What happened while the notebook was read: skipped magics, cells with errors.
    printed : str
        The beginning of what its code printed.
    """

    file: str
    checksum: str = ""
    experiment: str = ""
    title: str = ""
    problem: str = ""
    checks: list = field(default_factory=list)
    flags: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    isolation: str = ""
    isolation_reason: str = ""
    seed: int = 0
    seconds: float = 0.0
    printed: str = ""
    versions: dict = field(default_factory=dict)

    @property
    def score(self):
        """The points of all checks."""
        return round(sum(check.points for check in self.checks), 2)

    @property
    def held(self):
        """Points that wait for a person, not part of the score."""
        return round(sum(check.held for check in self.checks), 2)

    @property
    def maximum(self):
        """The points that there are."""
        return round(sum(check.maximum for check in self.checks), 2)

    def as_dict(self):
        """Everything, as it is written to JSON."""
        return {
            "file": self.file, "experiment": self.experiment, "title": self.title, "problem": self.problem,
            "score": self.score, "max": self.maximum, "held": self.held,
            "isolation": self.isolation, "isolation_reason": self.isolation_reason, "seed": self.seed,
            "seconds": round(self.seconds, 2), "versions": self.versions, "flags": self.flags, "notes": self.notes,
            "checks": [
                {"name": check.name, "points": check.points, "max": check.maximum, "held": check.held,
                 "passed": check.passed, "unfinished": check.unfinished, "message": check.message, "hint": check.hint,
                 "seconds": round(check.seconds, 2)}
                for check in self.checks
            ],
            "printed": self.printed, "checksum": self.checksum,
        }  # fmt: skip


def versions():
    """The versions that a grade depends on; ``grader`` is a checksum of this package's sources."""
    sources = sorted(FOLDER.rglob("*.py"))
    grader = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    return {"grader": grader, "python": platform.python_version(), "torch": torch.__version__}


def identify(path, names):
    """Give the experiment that a notebook answers: by its file name, else by most of the names that it defines.

    Parameters
    ----------
    path : path
    names : set of str
        What the notebook defines.

    Returns
    -------
    Experiment or None
    """
    known = [experiments.load(name) for name in experiments.NAMES if (FOLDER / "experiments" / f"{name}.py").exists()]
    for experiment in known:
        if experiment.stem in Path(path).name:
            return experiment
    score = {experiment.name: len(names & set(experiment.names)) / len(experiment.names) for experiment in known}
    best = max(known, key=lambda experiment: score[experiment.name], default=None)
    return best if best and score[best.name] > 0 else None


def grade(path, experiment=None, *, seed=None, level=None, seconds=None, threads=None, name=None):
    """Grade one notebook.

    Parameters
    ----------
    path : path of a file
    experiment : helpers.grading.experiments.Experiment, optional
        By default it is found by :func:`identify`.
    seed : int, optional
        Decides the inputs that the checks draw; by default a fresh one.
    level : {"full", "process"}, optional
        By default the best that works here.
    seconds : float, optional
        The time for this submission instead of the experiment's.
    threads : int, optional
        For torch in the worker; by default one for each core.
    name : str, optional
        What the report calls the file.

    Returns
    -------
    Grade
        Whatever was handed in; ``problem`` says why something could not be graded.
    """
    started = time.monotonic()
    best, reason = sandbox.best_level()
    level = level or best
    grade = Grade(name or Path(path).name, seed=secrets.randbits(48) if seed is None else seed, versions=versions())
    grade.isolation, grade.isolation_reason = level, reason if level != sandbox.FULL else ""
    if experiment is not None:
        use(grade, experiment)
    try:
        handed_in = submission.read(path)
        every, broken = selection.statements(handed_in)
    except submission.Unreadable as error:
        grade.problem = str(error)
        if experiment is None and (experiment := identify(path, set())):
            use(grade, experiment)
        return grade
    grade.checksum, grade.notes = handed_in.checksum, list(handed_in.notices)
    grade.notes += [f"Cell {number} is not Python: {what}." for number, what in broken.items()]
    if experiment is None:
        experiment = identify(path, {bound for statement in every for bound in statement.binds})
        if experiment is None:
            grade.problem = (
                "It cannot be told which experiment this is: it defines none of the names that are asked for."
            )
            return grade
        use(grade, experiment)

    chosen = selection.select(every, experiment.names)
    grade.notes += [
        f"The name {missing} is used but nowhere defined."
        for missing in chosen.missing
        if missing not in experiment.names
    ]
    sources = {cell.number: cell.source for cell in handed_in.cells}
    budget = experiment.seconds if seconds is None else seconds
    cells, threads = _cells(chosen.statements, sources), threads or os.cpu_count() or 1
    with remote.Worker(
        cells, experiment.names, level=level, seconds=budget, threads=threads,
        forbidden=experiment.forbidden, forbidden_operators=experiment.forbidden_operators,
    ) as worker:  # fmt: skip
        for check, result in zip(experiment.checks, grade.checks, strict=True):
            needed = selection.select(every, check.needs or experiment.names).statements
            worker.fallback = _cells(needed, sources)
            findings = rules.look(
                needed, experiment.forbidden, experiment.allowed_imports, watched=bool(experiment.forbidden_operators)
            )
            unused = set(check.uses).difference(*(statement.uses for statement in needed))
            _run(experiment, check, result, worker, findings, grade, unused)
            if not result.passed:
                _trace(experiment, check, grade, needed)
            _name_the_broken_cell(result, broken, sources)
        grade.notes += worker.notes
    grade.flags = list(dict.fromkeys(grade.flags))
    grade.printed = worker.printed[:4000].decode("utf-8", "replace")
    if worker.printed_bytes > len(worker.printed):
        grade.notes.append(f"It printed {worker.printed_bytes:,} bytes; only the beginning was kept.")
    grade.seconds = time.monotonic() - started
    return grade


def _cells(statements, sources):
    return [
        [number, sources[number], [statement.index for statement in statements if statement.cell == number]]
        for number in dict.fromkeys(statement.cell for statement in statements)
    ]


def use(grade, experiment):
    """Give a grade the title and the checks of an experiment, all still without points."""
    grade.experiment, grade.title = experiment.name, experiment.title
    grade.checks = [CheckGrade(check.name, check.points) for check in experiment.checks]


def _run(experiment, check, result, worker, findings, grade, unused):
    forbidden = [finding for finding in findings if finding.kind == "forbidden"]
    suspect = [finding for finding in findings if finding.kind == "suspect"]
    if forbidden:
        first = forbidden[0]
        result.message = f"Not counted: it uses {first.what} ({first.place}), and this is to be your own code."
        result.hint = "Write it with indexing, arithmetic and matrix products."
        return
    started = time.monotonic()
    worker.operators = {}
    seed = hashlib.sha256(f"{grade.seed} {check.name}".encode()).digest()
    draw = torch.Generator().manual_seed(int.from_bytes(seed[:6], "big"))
    try:
        found = check.run(worker, draw) or Result(1.0)
    except Wrong as wrong:
        found = Result(0.0, wrong.message, wrong.hint)
        if getattr(wrong, "kind", "") == "NotImplementedError":
            result.unfinished = True
            found = Result(0.0, f"Not filled in yet{f' ({wrong.place})' if wrong.place else ''}.")
        elif isinstance(wrong, Missing) and not check.points:
            result.unfinished = True
    except Exception as error:  # noqa: BLE001 - an answer of a kind that the check did not think of
        found = Result(
            0.0, f"The answer is not of the kind that was expected ({type(error).__name__}: {str(error)[:300]})."
        )
        grade.flags.append(f"{check.name}: the check itself stopped with {type(error).__name__}; look at this answer.")
    result.seconds = time.monotonic() - started
    result.message, result.hint = found.message, found.hint
    points = round(check.points * min(1.0, max(0.0, float(found.fraction))), 2)
    result.passed = found.fraction >= 1
    ran = sorted(
        name
        for name in worker.operators
        if any(fnmatch.fnmatchcase(name, each) for each in experiment.forbidden_operators)
    )
    if ran:
        points, result.passed = 0.0, False
        result.message = f"Not counted: while it ran, torch's own operator {ran[0]} was at work."
        result.hint = "This is to be your own code: write it with indexing, arithmetic and matrix products."
    elif unused and points:
        points, result.passed = 0.0, False
        result.message = f"Not counted: {check.needs[0]} does not use your {min(unused)}."
        result.hint = "Build it of your own answers."
    grade.flags += [f"{check.name}: {flag}" for flag in found.flags]
    if suspect and points:
        places = "; ".join(dict.fromkeys(f"{finding.what} ({finding.place})" for finding in suspect[:5]))
        result.held, points, result.passed = points, 0.0, False
        result.message = f"Held back until a person has looked at: {places}. {result.message}".strip()
        grade.flags.append(
            f"Code that reaches outside of the answer: {places}. Points that depend on it are held back."
        )
    elif found.hold and points:
        result.held, points, result.passed = points, 0.0, False
        grade.flags.append(f"{check.name}: held back until a person has looked. {found.message}".strip())
    result.points = points


def _trace(experiment, check, grade, needed):
    # Where this answer calls one that an earlier check found wrong, that one is the place to begin.
    result = grade.checks[experiment.checks.index(check)]
    used = {name for statement in needed for name in statement.binds} - set(check.needs)
    for other, earlier in zip(experiment.checks, grade.checks, strict=True):
        if earlier is result:
            return
        if other.needs and used.issuperset(other.needs) and not (earlier.passed or earlier.held):
            verb = "fill in" if earlier.unfinished else "mend"
            then = f" Then: {result.hint}" if result.hint else ""
            result.hint = f"This calls {other.needs[0]}: first {verb} “{other.name}”.{then}"
            return


def _name_the_broken_cell(result, broken, sources):
    # What is missing may stand in a cell that is not Python, where it cannot be found.
    missing = re.search(r"does not define (\w+)|NameError: name '(\w+)' is not defined", result.message)
    name = missing and (missing[1] or missing[2])
    for number, what in broken.items():
        if name and re.search(rf"^\s*(def|class)\s+{name}\b|^{name}\s*=", sources[number], re.MULTILINE):
            result.message, result.hint = f"{name} is missing, because cell {number} is not Python: {what}.", ""
            result.unfinished = False
