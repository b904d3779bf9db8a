"""What every benchmark records beside its numbers, and how it keeps them: used by the other programs of this folder.

A record is one JSON file ``results/NAME.json``. The fields that :func:`about` gives, in all of them:

    what         one sentence
    command      what to type to make it again
    date         of the last run, UTC
    versions     of python, torch, torchvision, numpy and helpers
    processor, system, cores, threads    threads: what torch used

Long experiments are made of runs, each kept as soon as it is finished, see :func:`keep_going`. Of a run are recorded
``seed``, ``seconds`` (by the clock) and ``cpu_seconds`` (computed by this process: the measure to compare, since a
machine that does other things too only makes ``seconds`` longer).
"""

import datetime
import importlib.metadata
import json
import os
import platform
import re
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

RESULTS = Path(__file__).resolve().parent.parent / "results"


def about(what, command):
    """All that somebody needs to judge figures, or to make them again; nothing about whose machine it was."""
    return {
        "what": what,
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": importlib.metadata.version("torchvision"),
            "numpy": importlib.metadata.version("numpy"),
            "helpers": importlib.metadata.version("convolution-by-hand"),
        },
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def processor():
    """The processor's name, as exactly as the system tells it."""
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def as_json(record):
    """JSON with one field a line, except that a list of numbers is one line."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    # Within a JSON string a new line is written as \n, so these are lists.
    return re.sub(r"\[\n([\s\d.,eE+-]*)\n\s*\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def put(path, content):
    """Write a file in one step: at every moment there is the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    new.replace(path)


def keep_going(path, record, plan, perform, settings_of, finish=lambda record: None):
    """Do what is planned and not yet recorded, and record each run as soon as it is done.

    Parameters
    ----------
    path : Path
        The record. Its runs are kept if they were made with the same settings as now; others are dropped.
    record : dict
        The fields besides ``runs``.
    plan : list of dict
        The keys of each run, as {"seed": 0, "size": 100}, in the order to do them.
    perform : callable
        ``perform(**keys)`` does one run and returns its results, a dict.
    settings_of : callable
        ``settings_of(record, keys)`` is the part of a record that a run depends on.
    finish : callable
        ``finish(record)`` adds what follows from all runs so far.

    Returns
    -------
    dict
        The record, as it is in the file.
    """
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": []}
    # As it would come back from a file: tuples are lists there.
    record = json.loads(json.dumps(record))
    done = {}
    for run in old["runs"]:
        for keys in plan:
            same_keys = all(run.get(name) == value for name, value in keys.items())
            if same_keys and settings_of(old, keys) == settings_of(record, keys):
                done[_place(keys)] = run
    if len(done) < len(old["runs"]):
        print(f"{len(old['runs']) - len(done)} recorded runs were made with other settings and will be replaced.")
    missing = [keys for keys in plan if _place(keys) not in done]
    if not missing:  # texts may be new, but nothing is computed anew
        record |= {name: old[name] for name in about("", "") if name not in ("what", "command")}
    with tqdm(total=len(plan), initial=len(done), desc=path.stem, unit="run") as bar:
        for keys in missing:
            clock, computed = time.perf_counter(), time.process_time()
            results = perform(**keys)
            clock, computed = time.perf_counter() - clock, time.process_time() - computed
            done[_place(keys)] = keys | results | {"seconds": round(clock, 1), "cpu_seconds": round(computed, 1)}
            _write(path, record, plan, done, finish)
            shown = [f"{name} {value}" for name, value in done[_place(keys)].items() if not isinstance(value, list)]
            tqdm.write(", ".join(shown), file=sys.stdout)
            sys.stdout.flush()
            bar.update()
    if not missing:
        _write(path, record, plan, done, finish)
    return record


def _write(path, record, plan, done, finish):
    record["runs"] = [done[_place(keys)] for keys in plan if _place(keys) in done]
    finish(record)
    put(path, as_json(record))


def _place(keys):
    return tuple(sorted(keys.items()))


def run_until_interrupted(main):
    """Call a benchmark's ``main``; Ctrl-C ends it with a sentence."""
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted. Every finished run is recorded: the same command does the rest.", file=sys.stderr)
        sys.exit(130)
