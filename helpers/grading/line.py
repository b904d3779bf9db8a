"""The line to one worker: requests with a deadline, answers that are looked at before anybody uses them."""

import contextlib
import queue
import secrets
import subprocess
import threading
import time

from helpers.grading import sandbox, wire
from helpers.grading.experiments import Foreign, Stopped

KEPT_OUTPUT = 20_000  # bytes of what the code prints
GRACE = 3  # seconds for a worker to say itself that the time is up


class Line:
    """One running worker and the threads that read from it: one for answers, one for what the code prints.

    Parameters
    ----------
    level : {"full", "process"}
    threads : int
    seconds : float
        What is left of the submission's time.
    start_seconds : float
        The time until it has to be ready.
    handle : callable
        ``(object) -> int or None``: the number by which the worker knows a network.
    """

    def __init__(self, level, threads, seconds, start_seconds, handle):
        self.handle = handle
        self.process = sandbox.start(level, threads, seconds)
        self.printed, self.count, self.writer = b"", 0, None
        # Short: whoever floods the line with answers that nobody asked for has to wait.
        self.answers = queue.Queue(maxsize=4)
        self.readers = [threading.Thread(target=each, daemon=True) for each in (self._read_answers, self._read_printed)]
        for thread in self.readers:
            thread.start()
        try:
            self._wait("ready", start_seconds)
        except Stopped:
            self.close()
            raise

    def ask(self, request, seconds):
        """Send a request and wait for its answer: a ``dict`` with value, error, operators and loaded.

        Raises
        ------
        Stopped
            If there is none in time, or the process ended or took too much; :meth:`close` is the caller's to do.
        """
        token = secrets.token_hex(16)

        def send():
            try:
                wire.write(self.process.stdin, {"token": token, **request}, modules=self.handle)
            except (OSError, ValueError):  # the process is gone, and its end is what will be answered
                pass

        # In a thread, since a process that does not read would block us for ever.
        self.writer = threading.Thread(target=send, daemon=True)
        self.writer.start()
        return self._wait(token, seconds)

    def close(self):
        """Kill the process and all that it started."""
        sandbox.stop(self.process)
        for thread in self.readers:
            while thread.is_alive() and not self.answers.empty():
                self.answers.get()
            thread.join(5)
        # A pipe that a thread still hangs on, since a lost grandchild holds the other end, cannot be closed.
        threads = (self.writer, *self.readers)
        for thread, pipe in zip(threads, (self.process.stdin, self.process.stdout, self.process.stderr), strict=True):
            if thread is None or not thread.is_alive():
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()

    def _wait(self, token, seconds):
        until = time.monotonic() + seconds
        while True:
            try:
                answer = self.answers.get(timeout=min(0.25, max(0.01, until - time.monotonic())))
            except queue.Empty:
                answer = {}
            if isinstance(answer, str):
                raise Stopped(answer)
            if answer is None:
                raise Stopped(f"Your program ended its own process{self._how()}.")
            if answer.get("token") == token:
                return answer
            if time.monotonic() > until:
                raise Stopped(f"It took longer than {max(1, seconds - GRACE):.0f} seconds and was stopped.",
                              "Is there a loop that never ends?")  # fmt: skip
            used, processes = sandbox.size(self.process)
            if processes > sandbox.PROCESSES:
                raise Stopped(f"It started more than {sandbox.PROCESSES} processes and was stopped.")
            if used > sandbox.MEMORY:
                raise Stopped(f"It used more than {sandbox.MEMORY / 2**30:.0f} GB of memory and was stopped.")

    def _how(self):
        try:
            status = self.process.wait(2)
        except subprocess.TimeoutExpired:  # it closed its end of the line and runs on
            return ""
        return f" (exit status {status})" if status >= 0 else f" (signal {-status})"

    def _read_answers(self):
        try:
            while (answer := wire.read(self.process.stdout)) is not None:
                if isinstance(answer, dict) and isinstance(answer.get("token"), str):
                    self.answers.put(_checked(answer))
        except wire.BadFrame as error:
            self.answers.put(f"Your program's process sent an answer that was refused: {error}.")
        except (OSError, ValueError):
            pass
        self.answers.put(None)

    def _read_printed(self):
        with contextlib.suppress(OSError, ValueError):
            while part := self.process.stderr.read1(2**16):
                self.count += len(part)
                self.printed += part[: max(0, KEPT_OUTPUT - len(self.printed))]


def _checked(answer):
    # The frame was well formed; now its parts, since the code at the other end can write what it likes.
    error, operators, loaded = answer.get("error"), answer.get("operators"), answer.get("loaded")
    return {
        "token": answer["token"],
        "value": answer.get("value", Foreign("nothing")),
        "error": [str(part)[:600] for part in error] if isinstance(error, list) and len(error) == 3 else None,
        "operators": {str(name)[:100]: count for name, count in operators.items() if isinstance(count, int)}
        if isinstance(operators, dict)
        else {},
        "loaded": [str(split)[:20] for split in loaded[:20]] if isinstance(loaded, list) else [],
    }
