"""Starts a worker and shuts it in: with bubblewrap where it works, else with limits and time-outs alone.

Levels
------
full
    Linux with `bubblewrap <https://github.com/containers/bubblewrap>`_: a file system with nothing in it but Python,
    the packages and the course's helpers, all read-only, without the experiments' checks and the test images; an
    empty ``/tmp``; no network; no other process in sight; an unprivileged user; an empty environment; and the
    limits below.
process
    A process of its own, with the limits below. Its code can read and write what you can.

Limits: address space, size of a file, number of processes, processor time; the judge adds wall-clock time, the memory
of all processes together, and the amount of output that is kept.
"""

import functools
import importlib.util
import os
import shutil
import signal
import site
import subprocess
import sys
from pathlib import Path

import psutil

import helpers
from helpers.grading import refusal

FULL, PROCESS = "full", "process"
# Wherever torch was installed, the worker must find it: pip install --user puts it into a home.
PACKAGES = str(Path(importlib.util.find_spec("torch").origin).parents[1])
HELPERS = Path(helpers.__file__).resolve().parent
# Of this package, the worker needs these; the rest, checks and points, stays outside.
WORKER_FILES = ("__init__", "worker", "wire", "tape", "watch", "stand_in", "refusal", "experiments/__init__")
HIDDEN_DATA = ("mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-labels-idx1-ubyte.gz")

ADDRESS_SPACE = 8 * 2**30  # bytes a process
MEMORY = 6 * 2**30  # bytes, all processes of a submission
FILE_SIZE = 256 * 2**20  # bytes a file
SCRATCH = 512 * 2**20  # bytes in /tmp, and as many in /dev/shm
PROCESSES = 96  # and threads


@functools.cache
def best_level():
    """Give ``(level, why)``: the strongest level that works here, and, if it is not full, why not."""
    if not sys.platform.startswith("linux"):
        return PROCESS, "bubblewrap exists for Linux only"
    if not shutil.which("bwrap"):
        return PROCESS, "bubblewrap is not installed (Debian, Ubuntu: apt install bubblewrap)"
    probe = [*_bubblewrap(), sys.executable, "-c", "print('works')"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return PROCESS, "bubblewrap does not answer"
    if done.stdout.strip() != "works":
        return PROCESS, f"bubblewrap does not work here: {done.stderr.strip()[:300]}"
    return FULL, ""


def start(level, threads, seconds):
    """Start a worker.

    Parameters
    ----------
    level : {"full", "process"}
    threads : int
        For torch's computations.
    seconds : float
        Its processor time is limited to what that many seconds of all threads can be.

    Returns
    -------
    subprocess.Popen
        With binary pipes for stdin, stdout (the line) and stderr (what the code prints).
    """
    command = [sys.executable, "-P", "-s", "-B", "-m", "helpers.grading.worker"]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108 - empty and its own
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join([str(HELPERS.parent), PACKAGES]),
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "Agg",
        "TQDM_DISABLE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    if level == FULL:
        command = [*_bubblewrap(environment | {"GRADING_PROCESSES": str(PROCESSES)}), *command]
        environment = {"PATH": environment["PATH"]}
    elif sys.platform == "win32":
        environment = {**os.environ, **environment, "HOME": os.environ.get("USERPROFILE", "")}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        **({} if sys.platform == "win32" else {"preexec_fn": functools.partial(_limit, seconds * (threads + 1) + 60)}),
    )


def stop(process):
    """Kill a worker and everything that it started."""
    children = _family(process.pid)
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    except (ProcessLookupError, PermissionError):
        pass
    for child in children:
        try:
            child.kill()
        except psutil.Error:
            pass
    process.wait()


def size(process):
    """Give ``(bytes, processes)``: the memory and the number of all processes of a worker."""
    total, family = 0, _family(process.pid)
    for member in family:
        try:
            memory = member.memory_info()
            total += memory.rss - getattr(memory, "shared", 0)
        except psutil.Error:
            pass
    return total, len(family)


def _family(pid):
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def _bubblewrap(environment=None):
    # An empty root, and into it only what running Python needs: a list of what is let in cannot forget a secret.
    options = [shutil.which("bwrap"), "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    options += ["--uid", "65534", "--gid", "65534", "--hostname", "grading", "--clearenv"]
    # What can be written to lies in memory, so each of the two places has a size. They come first: Python or the course may
    # itself lie in /tmp.
    options += ["--proc", "/proc", "--dev", "/dev"]
    for name in ("/dev/shm", "/tmp"):  # noqa: S108 - in the sandbox, its own
        options += ["--size", str(SCRATCH), "--tmpfs", name]
    for name in ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime"):
        if os.path.islink(name) and os.path.isdir(name):
            options += ["--symlink", os.readlink(name), name]
        elif os.path.exists(name):
            options += ["--ro-bind", name, name]
    python = {
        sys.prefix,
        sys.base_prefix,
        *site.getsitepackages(),
        PACKAGES,
        os.path.dirname(os.path.realpath(sys.executable)),
    }
    # In the course's own folder nothing else is seen, and nothing can be written, wherever it lies.
    course = HELPERS.parent
    apart = not any(course.is_relative_to(name) for name in ("/usr", *python))
    options += ["--tmpfs", str(course)] if apart else []
    for name in sorted(python):
        # /usr is in already; whoever keeps Python at the root of a home or of the repository gets only that folder.
        if os.path.isdir(name) and not name.startswith("/usr/"):
            options += ["--ro-bind", name, name]
    # Of the course's helpers, what holds no answer.
    options += ["--tmpfs", str(HELPERS)]
    for name in ("__init__", *refusal.HELPERS):
        file = HELPERS / name if (HELPERS / name).is_dir() else HELPERS / f"{name}.py"
        options += ["--ro-bind", str(file), str(file)]
    options += ["--tmpfs", str(HELPERS / "grading")]
    for name in WORKER_FILES:
        file = str(HELPERS / "grading" / f"{name}.py")
        options += ["--ro-bind", file, file]
    for name in HIDDEN_DATA:
        options += ["--ro-bind", "/dev/null", str(HELPERS / name)]
    options += ["--remount-ro", str(HELPERS / "grading"), "--remount-ro", str(HELPERS)]
    options += ["--remount-ro", str(course)] if apart else []
    options += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    for name, value in (environment or {}).items():
        options += ["--setenv", name, value]
    return options


def _limit(processor_seconds):
    import resource

    limits = {
        "RLIMIT_AS": ADDRESS_SPACE,
        "RLIMIT_FSIZE": FILE_SIZE,
        "RLIMIT_CPU": int(processor_seconds),
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 512,
    }
    for name, value in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):  # macOS knows some of them in name only
            pass
