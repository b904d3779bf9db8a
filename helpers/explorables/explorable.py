"""A figure that the reader moves, in three homes: the built page, a notebook, Colab."""

import json
import math
from html import escape
from pathlib import Path

import anywidget
import numpy
import torch
import traitlets

from helpers.explorables import data
from helpers.plotting import SHEET

FOLDER = Path(__file__).parent


class Explorable(anywidget.AnyWidget):
    """One figure: its state in traits, which Python and the reader both change, and a JavaScript file that draws it.

    A subclass lives in a module of its own, ``NAME.py``, with ``NAME.js`` beside it. It declares traits (with
    ``.tag(sync=True)``, under torch's names) and :attr:`alt`, :meth:`numbers` and :meth:`fallback`. A value that makes
    no sense is refused with ``traitlets.TraitError``, and the figure stays as it was.

    Attributes
    ----------
    needs : tuple of str
        Names of the blocks of :mod:`helpers.explorables.data` that the figure draws from.
    sources : tuple of str
        Names of JavaScript files that stand before its own: what it shares with some of the figures, but not with all.
    files : tuple of str
        Names of all its JavaScript files: what all figures share, ``sources``, its own.
    caption : str
        Sentences under the figure that say what to see and to try; plain text.
    """

    needs = ()
    sources = ()
    caption = traitlets.Unicode().tag(sync=True)
    data = traitlets.Dict(read_only=True).tag(sync=True)

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if hasattr(cls, "_esm"):  # a class of a class, such as anywidget makes of each figure
            return
        cls.name = cls.__module__.rpartition(".")[2]
        cls.files = ("drawing", *cls.sources, cls.name)
        cls._esm = "".join((FOLDER / f"{each}.js").read_text(encoding="utf-8") for each in cls.files)
        cls._css = (FOLDER / "explorable.css").read_text(encoding="utf-8")

    @traitlets.default("data")
    def _read_data(self):
        return {name: data.read(name) for name in self.needs}

    @property
    def alt(self):
        """What the figure shows in its present state, in a sentence. It must be the same on every machine."""
        raise NotImplementedError(f"{type(self).__name__} needs alt text")

    def numbers(self):
        """The numbers that the figure shows in its present state, computed by ``helpers``: a dict.

        Each value is a number, or lists of numbers in which None stands for what is not shown. In the page, the same
        numbers carry ``data-value`` with the key as its value; tests compare them.
        """
        raise NotImplementedError(f"{type(self).__name__} needs numbers()")

    def fallback(self):
        """A :class:`helpers.plotting.Figure` of the present state, for paper and wherever no JavaScript runs."""
        raise NotImplementedError(f"{type(self).__name__} needs a fallback")

    @property
    def later(self):
        """Of :attr:`needs`, what the figure can begin without in its present state: a page asks for it last.

        When it has come, the listeners to ``change:data`` hear of it. A notebook sends everything at once.
        """
        return ()

    @property
    def state(self):
        """The values of all traits of the figure's own, ready for JSON."""
        own = set(self.trait_names(sync=True)).difference(Explorable.class_trait_names())
        return {name: getattr(self, name) for name in sorted(own) if not name.startswith("_")}

    def html(self):
        """The figure as the page holds it: the fallback, and what a script needs to put the live figure in its place."""
        state = escape(json.dumps(self.state, separators=(",", ":")))
        now = [name for name in self.needs if name not in self.later]
        blocks = "".join(f' data-{when}="{" ".join(names)}"' for when, names in (("needs", now), ("later", self.later)) if names)
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        return (
            f'{SHEET}<figure class="handmade explorable" data-explorable="{self.name}" data-state="{state}"{blocks}>'
            f'<div class="fallback">{self.fallback().picture}</div>{caption}</figure>'
        )

    def __repr__(self):
        return f"Explorable: {' '.join(self.alt.split())}"

    def _repr_mimebundle_(self, **options):
        bundle, metadata = super()._repr_mimebundle_(**options)
        return {**bundle, "text/html": self.html()}, metadata


class Whole(traitlets.Int):
    """A trait that holds an integer; True and False are none, as the page could not draw them."""

    def validate(self, figure, value):
        if isinstance(value, bool):
            self.error(figure, value)
        return super().validate(figure, value)


class Matrix(traitlets.TraitType):
    """A trait that holds rows of numbers, as lists; tensors, arrays and nested lists may be assigned to it.

    Parameters
    ----------
    default_value : list of lists
    largest : int
        Rows and columns that are allowed at most, for the drawing's sake.
    """

    info_text = "rows of numbers, all of the same length"
    LIMIT = 1000  # larger numbers would not fit into the cells

    def __init__(self, default_value, largest, **options):
        super().__init__(default_value, **options)
        self.largest = largest

    def default(self, figure=None):
        return [list(row) for row in self.default_value]

    def validate(self, figure, value):
        try:
            value = numpy.array(value.tolist() if isinstance(value, torch.Tensor) else value)
            if value.dtype.kind == "c":
                raise TypeError("complex numbers have no place in a cell")
            value = value.astype(float)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            raise traitlets.TraitError(f"{self.name} must be {self.info_text}, got {value!r}") from None
        if value.ndim != 2 or 0 in value.shape or max(value.shape) > self.largest:
            raise traitlets.TraitError(
                f"{self.name} must have shape (rows, columns), each from 1 to {self.largest}, got {tuple(value.shape)}"
            )
        rows = value.tolist()
        for number in (number for row in rows for number in row):
            if not math.isfinite(number) or abs(number) > self.LIMIT:
                raise traitlets.TraitError(f"{self.name} must hold numbers from −{self.LIMIT} to {self.LIMIT}, got {number}")
        return [[int(number) if number == int(number) else float(number) for number in row] for row in rows]
