"""What an experiment is: its checks, their points and what they say. One module here for each experiment.

A module defines ``EXPERIMENT``, an :class:`Experiment`. Its checks run in the judge, the process that holds inputs,
labels and expected values; the learner's code runs elsewhere and is reached only through the ``worker`` that a check is
given (:class:`helpers.grading.remote.Worker`)::

    def bias(worker, draw):
        images, weight = torch.randn(2, 3, 8, 8, generator=draw), torch.randn(4, 3, 3, 3, generator=draw)
        answer = worker.call("my_conv2d", images, weight, bias)
        if not torch.allclose(answer, F.conv2d(images, weight, bias), atol=1e-4):
            raise Wrong("The bias is missing.", "There is one number for every output channel: its shape is (4,).")

    EXPERIMENT = Experiment("conv2d", "Your own Conv2D", "02_conv2d", seconds=60, names=("my_conv2d", "Conv2D"),
                            checks=[Check("bias", 5, bias, needs=("my_conv2d",))], forbidden=("torch.conv*", ...))

Nothing that a worker answers is trusted: a check compares values, of inputs freshly drawn. An answer is made of
tensors, numbers, texts, None, lists, tuples and dictionaries of those; anything else arrives as a :class:`Foreign`.

A check need not catch anything. Where the learner's code raises, ends the process or takes too long, the call raises
(:class:`Wrong` is the parent of all of these), the check is worth nothing and says why, and the next check gets a
worker that runs again. A check that has to expect an error catches :class:`Raised`.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field


class Wrong(Exception):  # noqa: N818 - an answer is wrong, which is no error of the program
    """The answer is wrong: a check that raises this is worth nothing.

    Parameters
    ----------
    message : str
        What was found, in the learner's terms.
    hint : str, optional
        What to look at.
    """

    def __init__(self, message, hint=""):
        super().__init__(message)
        self.message, self.hint = str(message), str(hint)


class Raised(Wrong):
    """The learner's code raised an error. ``kind`` is its class's name, ``text`` what it said, ``place`` where."""

    def __init__(self, kind, text, place, hint=""):
        where = f" ({place})" if place else ""
        super().__init__(f"Your code raised {kind}{': ' if text else ''}{text}{where}", hint)
        self.kind, self.text, self.place = kind, text, place


class Missing(Wrong):
    """The notebook does not define the name that a check asks for."""


class Stopped(Wrong):
    """The learner's process ended, ran out of time or memory, or answered nonsense; it was stopped."""


class TooSlow(Stopped):
    """A call took longer than it may."""


@dataclass(frozen=True)
class Foreign:
    """Something that is not sent between processes; ``kind`` is its class's name, like ``"Linear"``."""

    kind: str


@dataclass(frozen=True)
class Result:
    """What a check found: a share of its points from 0 to 1, a message, a hint, and flags for a person to read.

    With ``hold`` the points do not count until a person has looked, say because a worker's word could not be checked.
    """

    fraction: float
    message: str = ""
    hint: str = ""
    flags: tuple[str, ...] = ()
    hold: bool = False


@dataclass(frozen=True)
class Check:
    """One graded question.

    Attributes
    ----------
    name : str
        What the report calls it.
    points : float
    run : callable
        ``run(worker, draw)``: the worker, and a ``torch.Generator`` with a seed of its own, fresh in every grading.
        Returns a :class:`Result`, or None for all points, or raises :class:`Wrong`.
    needs : tuple of str
        The names whose code earns these points; by default all ``names`` of the experiment. Where the code that they
        use, or an operator that ran during the check, is forbidden in the experiment, the check is worth nothing.
    uses : tuple of str
        Names that this code has to use, itself or through others; without them the check is worth nothing.
    """

    name: str
    points: float
    run: Callable
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """One experiment that is handed in as a notebook.

    Attributes
    ----------
    name, title : str
        For the command line, and for people.
    stem : str
        The notebook's usual file name without ``.ipynb``. A renamed file is known by the names it defines.
    seconds : float
        The time that grading one submission may take, all checks together.
    names : tuple of str
        The functions and classes that the notebook must define. What they use is taken from the notebook, by name;
        cells that only try things out are not run (see :mod:`helpers.grading.selection`).
    checks : list of Check
    forbidden : tuple of str
        Names that the code must not use, as dotted paths with wildcards, whatever alias they hide behind:
        ``"torch.conv*"``, ``"torch.nn.functional.unfold"``, ``"helpers.conv"`` (with all that is in it).
    forbidden_operators : tuple of str
        Operators of ATen that must not run, with wildcards: ``"convolution*"``, ``"im2col"``. They are watched forward
        and backward, during every call and pass.
    allowed_imports : tuple of str
        If given, the packages that the code may import; any other is forbidden.
    """

    name: str
    title: str
    stem: str
    seconds: float
    names: tuple[str, ...]
    checks: list[Check] = field(default_factory=list)
    forbidden: tuple[str, ...] = ()
    forbidden_operators: tuple[str, ...] = ()
    allowed_imports: tuple[str, ...] = ()

    @property
    def points(self):
        """The points of all checks together."""
        return sum(check.points for check in self.checks)


NAMES = ("mnist_cnn", "conv2d")


def load(name):
    """Give the :class:`Experiment` of this name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in NAMES:
        raise ValueError(f"there is no experiment {name!r}: the experiments are {', '.join(NAMES)}")
    return importlib.import_module(f"helpers.grading.experiments.{name}").EXPERIMENT
