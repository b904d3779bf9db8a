"""One submission, graded in a process of its own: whatever happens there, the other rows of a class are safe."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time

import psutil
import torch

from helpers.grading import experiments, judge

MARGIN = 120  # seconds beside an experiment's own: to read a notebook, to choose from it, to start and stop processes


class Child:
    """A process that grades one submission. It starts at once, and ends with its time or with its parent.

    Parameters
    ----------
    path : path of a file
    experiment : helpers.grading.experiments.Experiment or None
    seconds : float or None
    settings
        These and the others as for :func:`helpers.grading.judge.grade`.
    """

    def __init__(self, path, experiment=None, *, seconds=None, **settings):
        known = [experiment] if experiment else [experiments.load(name) for name in experiments.NAMES]
        self.seconds = MARGIN + (seconds or max(each.seconds for each in known))
        forks = "fork" in multiprocessing.get_all_start_methods()
        if experiment and not forks:
            experiment = experiment.name  # its checks cannot be sent to a new process, its name can
        context = multiprocessing.get_context("fork" if forks else "spawn")
        self._answer, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_grade, args=(sender, path, experiment, seconds, settings), daemon=True)
        self._process.start()
        self._until = time.monotonic() + self.seconds
        sender.close()  # the next child would inherit it, and this one's end would not be heard

    def ended(self):
        """Whether there is an answer, or will be none."""
        return self._answer.poll() or not self._process.is_alive() or self._late()

    def result(self):
        """Stop the process, and give ``(grade, why)``: a ``dict``, or None and how it ended without one."""
        grade, late = None, self._late()
        if self._answer.poll():
            with contextlib.suppress(EOFError, OSError):  # it died before or while it answered
                grade = self._answer.recv()
        if grade is None and not late:
            self._process.join(5)
        self.stop()
        if grade is not None:
            return grade, ""
        status = self._process.exitcode
        if late:
            return None, f"took longer than {self.seconds:.0f} seconds and was stopped"
        return None, f"ended itself ({f'status {status}' if status >= 0 else f'signal {-status}'})"

    def stop(self):
        """End the process and all that it started."""
        if self._process.is_alive():
            _kill(self._process.pid)
        self._process.join()
        self._answer.close()

    def _late(self):
        return time.monotonic() > self._until


def _grade(sender, path, experiment, seconds, settings):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches everybody at the terminal; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    if isinstance(experiment, str):
        experiment = experiments.load(experiment)
    sender.send(judge.grade(path, experiment, seconds=seconds, **settings).as_dict())


def _end_with_parent():
    # Whoever kills the parent and starts the command again must not have two graders at work.
    multiprocessing.parent_process().join()
    _kill(os.getpid())


def _kill(number):
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(number)
        for each in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.Error):
                each.kill()
