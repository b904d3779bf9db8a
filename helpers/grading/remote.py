"""The judge's side of the line to a worker: calls that give values, or raise what a learner can read."""

import time
from dataclasses import dataclass

import torch

from helpers.grading.experiments import Missing, Raised, Stopped, TooSlow, Wrong
from helpers.grading.line import GRACE, Line

MOST_STARTS = 20
START = 90  # seconds for importing torch on a busy machine


@dataclass(frozen=True)
class Pass:
    """One pass through a network: output, gradients of the inputs (a list) and of the parameters (by name)."""

    output: object
    input_gradients: list
    gradients: dict
    operators: dict


@dataclass(frozen=True)
class Step:
    """One backward pass of a training; see :func:`helpers.grading.watch.training`."""

    batch: int
    training: bool
    stale: bool


@dataclass(frozen=True)
class Training:
    """A training: its seconds, whether the time was up, what the function returned, its steps, the splits it loaded."""

    seconds: float
    stopped: bool
    returned: object
    steps: list
    loaded: list


class Worker:
    """The learner's code, in a process of its own that is started again where a call ended it.

    Parameters
    ----------
    cells : list
        What the worker is to load: ``[number, source, [index of statement, ...]]`` for each cell. Where loading all
        of it fails, only ``fallback`` is loaded, which the judge sets to what the check at hand needs.
    names : iterable of str
        The names that the notebook should define.
    level : {"full", "process"}
    seconds : float
        The time for everything, from now.
    threads : int
    forbidden, forbidden_operators : tuple of str
        As in :class:`helpers.grading.experiments.Experiment`.
    """

    def __init__(self, cells, names, *, level, seconds, threads=1, forbidden=(), forbidden_operators=()):
        self.names, self.level, self.threads = tuple(names), level, threads
        self._refused = {"names": forbidden, "operators": forbidden_operators}
        self.notes, self.loaded, self.operators, self.printed, self.printed_bytes = [], [], {}, b"", 0
        self.fallback, self._careful = cells, False
        self._cells, self._deadline, self._line = cells, time.monotonic() + seconds, None
        self._defined, self._starts, self._referee, self._loaded = (), 0, None, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def seconds_left(self):
        """What is left of the time for everything."""
        return self._deadline - time.monotonic()

    def has(self, name):
        """Whether the notebook defines this name."""
        self._ready()
        return name in self._defined

    def call(self, name, *arguments, seconds=10, **settings):
        """Call a function of the notebook; tensors arrive detached.

        Raises
        ------
        Missing, Raised, Stopped, Wrong
            The last also where the function writes into a tensor that it was given.
        """
        self._need(name)
        return self._ask("call", seconds, name=name, arguments=arguments, settings=settings)

    def build(self, name, *arguments, seed=None, state=None, example=None, seconds=10, **settings):
        """Make a network of a class of the notebook, with these weights if any are given.

        ``example`` is a batch of inputs, from which lazy layers learn their sizes.

        Returns
        -------
        Network
        """
        self._need(name)
        given = {"arguments": arguments, "settings": settings, "seed": seed, "state": state, "example": example}
        handle = self._ask("build", seconds, name=name, **given)
        if not isinstance(handle, int):
            raise Stopped("Your program's process answered something else than it was asked.")
        return Network(self, handle, self._starts)

    @property
    def referee(self):
        """A second worker, which never sees the learner's code."""
        if self._referee is None:
            self._referee = Referee((), (), level=self.level, seconds=self.seconds_left, threads=self.threads)
        return self._referee

    def close(self):
        """Stop the process."""
        if self._referee is not None:
            self._referee.close()
            self._referee = None
        self._stop_line()

    def _stop_line(self):
        if self._line is not None:
            self._line.close()
            self.printed, self.printed_bytes = self.printed + self._line.printed, self.printed_bytes + self._line.count
            self._line = None

    def _need(self, name):
        if not self.has(name):
            wrong = [note for note in self.notes if f"{name}" in note]
            raise Missing(
                f"The notebook does not define {name}.", " ".join(wrong[:1]) or f"Keep the name {name} as it is."
            )

    def _ready(self):
        if self._line is not None and self._loaded in (self._cells, self.fallback):
            return
        self._stop_line()
        if self._starts >= MOST_STARTS:
            raise Stopped("Your program ended its process too often; the rest was not tried.")
        self._starts += 1
        self._loaded = self.fallback if self._careful else self._cells
        left = self.seconds_left
        handle = lambda value: value._handle if isinstance(value, Network) else None
        self._line = Line(self.level, self.threads, left, min(START, left), handle)
        try:
            mnist = any("mnist" in source for _, source, _ in self._loaded)
            self._ask("refuse", 30, **self._refused)
            errors = self._ask("load", 30, cells=self._loaded, mnist=mnist)
            defined = self._ask("defined", 10, names=list(self.names))
        except Wrong as wrong:
            self._stop_line()
            if not self._careful and self.fallback != self._cells:
                self._careful = True
                return self._ready()
            hint = "Does a cell that an answer needs (for a value that it uses) train, or wait for something?"
            raise Stopped(
                f"While your notebook was loaded: {wrong.message}", hint if isinstance(wrong, TooSlow) else wrong.hint
            ) from None
        self._defined = tuple(name for name in defined if isinstance(name, str)) if isinstance(defined, list) else ()
        if self._starts == 1 and isinstance(errors, list):
            for error in errors[:20]:
                kind, text, place = (str(part)[:600] for part in error)
                happened = "took too long while the notebook was loaded" if kind == "TimeIsUp" else f"raised {kind}: {text}"
                self.notes.append(f"{place or 'A cell'} {happened}")

    def _ask(self, do, seconds, /, **given):
        if do not in ("refuse", "load", "defined"):
            self._ready()
        allowed = min(seconds, self.seconds_left)
        if allowed <= 0:
            self._stop_line()
            raise Stopped("The time for this submission was used up before.")
        started = time.monotonic()
        try:
            answer = self._line.ask({"do": do, "seconds": allowed, "with": given}, allowed + GRACE)
        except Stopped:
            self._stop_line()
            raise
        for name, count in answer["operators"].items():
            self.operators[name] = self.operators.get(name, 0) + count
        self.loaded = answer["loaded"]
        if answer["error"]:
            kind, text, place = answer["error"]
            if kind == "TimeIsUp":
                self._stop_line()  # whatever was interrupted may be half done: an import, a lock
                raise TooSlow(
                    f"It took longer than {allowed:.0f} seconds and was stopped.",
                    "Is there a loop that never ends, or one over every single pixel?",
                )
            if kind == "ArgumentChanged":
                raise Wrong(
                    "Your function changes the tensors that it is given.",
                    "a *= b, a += b and a[...] = b write into a, which belongs to whoever called: write a * b, "
                    "which makes a new tensor, or change a.clone().",
                )
            raise Raised(kind, text, place)
        self._last_seconds = time.monotonic() - started
        return answer["value"]


class Referee(Worker):
    """A worker that runs what another worker recorded."""

    def ask_to_play(self, recorded, images, seconds):
        """Give the output, and the shapes of all tensors by name."""
        answer = self._ask("play", seconds, recorded=recorded, images=images)
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[0], torch.Tensor):
            raise Stopped("The record of the network does not run.")
        return answer

    def ask_to_respond(self, recorded, images, questions, seconds):
        """Give what :func:`helpers.grading.tape.respond` answers to each question."""
        return self._ask("respond", seconds, recorded=recorded, images=images, questions=questions)


class Network:
    """A network of the learner's that lives in the worker."""

    def __init__(self, worker, handle, start):
        self._worker, self._handle, self._start = worker, handle, start

    def state(self):
        """Parameters and buffers by name, as ``state_dict`` gives them."""
        return self._ask("state", 10, dict)

    def load(self, state):
        """Load parameters and buffers."""
        self._ask("set_state", 10, state=state)

    def training_mode(self):
        """Whether it is in training mode."""
        return self._ask("mode", 10) is True

    def forward(self, *inputs, gradient=None, seconds=10, mode="train"):
        """One pass, and with the gradient of the output a backward pass too.

        Returns
        -------
        Pass
        """
        before = dict(self._worker.operators)
        given = {"inputs": list(inputs), "gradient": gradient, "training": mode == "train"}
        answer = self._ask("forward", seconds, dict, **given)
        now = self._worker.operators
        operators = {name: now[name] - before.get(name, 0) for name in now if now[name] > before.get(name, 0)}
        gradients = answer.get("gradients")
        return Pass(
            answer.get("output"),
            list(answer.get("input_gradients") or []),
            gradients if isinstance(gradients, dict) else {},
            operators,
        )

    def train(self, *arguments, function="train", seconds=60, seed=0, **settings):
        """Let ``function(network, *arguments, **settings)`` of the notebook train it.

        When the time is up, the training is stopped and the network keeps what it has learned.

        Returns
        -------
        Training
        """
        self._worker._need(function)
        given = {"function": function, "arguments": arguments, "settings": settings, "seconds": seconds, "seed": seed}
        answer = self._ask("train", seconds + GRACE, dict, **given)
        steps = [Step(*step) for step in answer.get("steps") or [] if isinstance(step, list) and len(step) == 3]
        loaded = [str(split) for split in answer.get("loaded") or []]
        return Training(
            self._worker._last_seconds, answer.get("stopped") is True, answer.get("returned"), steps, loaded
        )

    def predict(self, images, batch_size=1000, seconds=60, mode="eval"):
        """The network's output for every image, without gradients; a tensor with a row for each.

        Raises
        ------
        Wrong
            If there is not one row of numbers for each image.
        """
        scores = self._ask("predict", seconds, images=images, batch_size=batch_size, training=mode == "train")
        if not isinstance(scores, torch.Tensor) or scores.dim() < 2 or len(scores) != len(images):
            found = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
            raise Wrong(f"The network gives {found} for {len(images)} images: one row of scores for each was expected.")
        return scores

    def operators(self, example, seconds=20):
        """The names of the operators of one pass, in their order; its own word, which nobody checks."""
        recorded = self._ask("record", seconds, dict, example=example)
        return [str(step[0]).split(".")[1].removesuffix("_") for step in recorded["steps"]]

    def structure(self, example, seconds=20):
        """What layers it has, as one pass shows; see :func:`helpers.grading.structure.read`."""
        from helpers.grading import structure

        return structure.read(self, example, seconds)

    def _ask(self, do, seconds, kind=None, /, **given):
        if self._start != self._worker._starts or self._worker._line is None:
            raise Stopped("The process with this network was stopped before.")
        answer = self._worker._ask(do, seconds, network=self, **given)
        if kind is not None and not isinstance(answer, kind):
            raise Stopped("Your program's process answered something else than it was asked.")
        return answer
