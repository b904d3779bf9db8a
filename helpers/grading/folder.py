"""A class: every submission in a folder gets one row, whatever it holds; what is graded already is not graded again."""

import hashlib
import json
import os
import re
import time
from pathlib import Path

from tqdm import tqdm

from helpers.grading import child, judge, report, sandbox, submission

REPORTS = ("submissions", "grades.csv", "index.html")  # what is written, beside what somebody else may keep there


def find(folder, out=None):
    """List what was handed in: ``(name, path)`` for each notebook, and for each entry of the folder that holds none.

    Links are listed and not followed. Hidden files and checkpoints are not listed, nor the reports, where ``out`` lies
    in the folder.
    """
    folder = Path(os.path.realpath(folder))
    reports = [Path(os.path.realpath(out)) / name for name in REPORTS] if out else []
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if entry.name.startswith(".") or path in reports:
            continue
        inside = []
        if entry.is_dir(follow_symlinks=False):
            dark = []  # folders that cannot be read have a row, or nobody would know that something is missing
            for parent, folders, files in os.walk(path, onerror=dark.append):
                parent = Path(parent)
                folders[:] = sorted(name for name in folders if name[0] != "." and parent / name not in reports)
                links = [name for name in folders if (parent / name).is_symlink()]
                inside += [
                    parent / name for name in sorted(files) + links if name.endswith(".ipynb") and name[0] != "."
                ]
            inside += [Path(error.filename) for error in dark]
            if not inside and any(each.is_relative_to(path) for each in reports):
                continue
        found += [(each.relative_to(folder).as_posix(), each) for each in inside or [path]]
    return found


def grade_all(folder, out, experiment=None, *, jobs=1, seed=None, seconds=None, level=None, part=(1, 1)):
    """Grade a folder and write ``grades.csv``, ``index.html`` and a page and a JSON for each submission into ``out``.

    Each one is graded by a process of its own, so that nothing that happens to it can lose another's row. An
    interruption keeps what is done, and the same call goes on from there.

    Parameters
    ----------
    folder, out : path
    experiment : helpers.grading.experiments.Experiment, optional
    jobs : int
        Submissions graded at the same time.
    seed, seconds, level
        As for :func:`helpers.grading.judge.grade`.
    part : (int, int)
        ``(3, 10)``: only the third of ten shares of the folder. What several machines graded is one class again when
        their ``submissions`` folders lie together and this is called for the whole.

    Returns
    -------
    list of dict
        The grades in the order of the names, each with ``page``.
    """
    out = Path(out)
    results = out / "submissions"
    results.mkdir(parents=True, exist_ok=True)
    level = level or sandbox.best_level()[0]  # found out once, before there are many
    settings = {"seed": seed, "seconds": seconds, "level": level, "threads": max(1, (os.cpu_count() or 1) // jobs)}
    made_with = [judge.versions(), experiment.name if experiment else None, seed, level]
    waiting, done = [], {}
    for name, path in find(folder, out)[part[0] - 1 :: part[1]]:
        stem = results / _file_name(name)
        fingerprint = hashlib.sha256(json.dumps([name, _checksum(path), made_with]).encode()).hexdigest()
        done[name] = _earlier(stem, fingerprint)
        if done[name] is None:
            waiting.append((name, path, stem, fingerprint))
    bar = tqdm(total=len(done), initial=len(done) - len(waiting), desc="grade", unit="submission")
    running = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop(0)
                running[child.Child(task[1], experiment, name=task[0], **settings)] = task
            ended = [each for each in running if each.ended()]
            for each in ended:
                name, path, stem, fingerprint = running.pop(each)
                grade, why = each.result()
                if grade is None:
                    # What the grader failed on is tried again by the next run.
                    grade, fingerprint = _failed(name, path, experiment, why), None
                grade |= {"page": f"submissions/{stem.name}.html"}
                report.write_page(f"{stem}.html", grade)
                report.write_json(f"{stem}.json", {"fingerprint": fingerprint, "grade": grade})
                done[name] = grade
                bar.update()
            if not ended:
                time.sleep(0.05)
    finally:
        for each in running:
            each.stop()
        bar.close()
        # After an interruption too: what is graded so far is in the table.
        rows = [done[name] for name in sorted(done, key=lambda name: (name.casefold(), name)) if done[name]]
        report.write_table(out / "grades.csv", rows)
        report.write_index(out / "index.html", rows, Path(folder).resolve().name)
    return rows


def _earlier(stem, fingerprint):
    try:
        earlier = json.loads(Path(f"{stem}.json").read_text(encoding="utf-8"))
        return earlier["grade"] if earlier["fingerprint"] == fingerprint and Path(f"{stem}.html").exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _failed(name, path, experiment, why):
    grade = judge.Grade(name, versions=judge.versions())
    if experiment := experiment or judge.identify(path, set()):
        judge.use(grade, experiment)
    grade.problem = f"The grader itself {why} while it looked at this. Nothing can be said about the answer."
    grade.flags.append("The grader failed on this one: a person has to grade it.")
    return grade.as_dict()


def _file_name(name):
    # Readable, valid everywhere, and different for different names.
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:80]
    return f"{readable}-{hashlib.sha256(name.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


def _checksum(path):
    try:
        if path.is_symlink() or not path.is_file():
            return None
        if (size := path.stat().st_size) > submission.LARGEST_FILE:
            return size  # it will not be read
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # whoever reads it will say why it cannot be read
        return None
