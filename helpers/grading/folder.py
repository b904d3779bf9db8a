"""A class: every submission in a folder gets one row, whatever it holds; what is graded already is not graded again."""

import hashlib
import json
import multiprocessing
import os
import re
import signal
import time
from pathlib import Path

import torch
from tqdm import tqdm

from helpers.grading import experiments, judge, report, sandbox


def find(folder):
    """List what was handed in: ``(name, path)`` for each notebook, and for each entry of the folder that holds none.

    Links are listed and not followed. Hidden files and checkpoints are not listed.
    """
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        inside = []
        if entry.is_dir(follow_symlinks=False):
            for parent, folders, files in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                links = [name for name in folders if (Path(parent) / name).is_symlink()]
                inside += [
                    Path(parent) / name for name in sorted(files) + links if name.endswith(".ipynb") and name[0] != "."
                ]
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
    settings = {"experiment": experiment, "seed": seed, "seconds": seconds, "level": level}
    settings["threads"] = max(1, (os.cpu_count() or 1) // jobs)
    made_with = [judge.versions(), experiment.name if experiment else None, seed, level]
    waiting, done = [], {}
    inputs = [(name, path) for name, path in find(folder) if not path.resolve().is_relative_to(out.resolve())]
    for name, path in inputs[part[0] - 1 :: part[1]]:
        stem = results / _file_name(name)
        fingerprint = hashlib.sha256(json.dumps([name, _checksum(path), made_with]).encode()).hexdigest()
        earlier = _earlier(stem, fingerprint)
        if earlier is None:
            waiting.append((name, path, stem, fingerprint))
        done[name] = earlier
    bar = tqdm(total=len(done), initial=len(done) - len(waiting), desc="grade", unit="submission")
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    if context.get_start_method() == "spawn" and experiment:
        settings["experiment"] = experiment.name  # its checks cannot be sent to a new process, its name can
    running = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop(0)
                process = context.Process(target=_grade_one, args=(*task, settings))
                process.start()
                running[process] = task
            finished = [process for process in running if not process.is_alive()]
            for process in finished:
                name, path, stem, fingerprint = running.pop(process)
                done[name] = _earlier(stem, fingerprint) or _failed(name, experiment, process.exitcode)
                bar.update()
            if not finished:
                time.sleep(0.05)
    finally:
        for process in running:
            process.terminate()
        for process, (name, _, stem, fingerprint) in running.items():
            process.join(10)
            done[name] = _earlier(stem, fingerprint)  # it may have been ready just then
        bar.close()
        # After an interruption too: what is graded so far is in the table.
        rows = [grade for _, grade in sorted(done.items()) if grade is not None]
        report.write_table(out / "grades.csv", rows)
        report.write_index(out / "index.html", rows, Path(folder).resolve().name)
    return rows


def _grade_one(name, path, stem, fingerprint, settings):
    # Runs in a process of its own. Being terminated is an exit like any other, so that the worker is stopped with it.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches everybody at the terminal; the parent decides
    torch.set_num_threads(1)
    if isinstance(settings["experiment"], str):
        settings = settings | {"experiment": experiments.load(settings["experiment"])}
    grade = judge.grade(path, name=name, **settings).as_dict()
    grade |= {"page": f"submissions/{stem.name}.html"}
    report.write_page(f"{stem}.html", grade)
    report.write_json(f"{stem}.json", {"fingerprint": fingerprint, "grade": grade})


def _earlier(stem, fingerprint):
    try:
        earlier = json.loads(Path(f"{stem}.json").read_text(encoding="utf-8"))
        return earlier["grade"] if earlier["fingerprint"] == fingerprint and Path(f"{stem}.html").exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _failed(name, experiment, status):
    grade = judge.Grade(name, versions=judge.versions())
    grade.problem = (
        f"The grader itself ended while it looked at this (status {status}). Nothing can be said about the answer."
    )
    grade.flags.append("The grader failed on this one: a person has to grade it.")
    return grade.as_dict() | {"page": "", "experiment": experiment.name if experiment else ""}


def _file_name(name):
    # Readable, valid everywhere, and different for different names.
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:80]
    return f"{readable}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _checksum(path):
    if path.is_symlink() or not path.is_file():
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
