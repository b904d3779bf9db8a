"""Exact sizes: how large a convolution's output is, and how many numbers a network learns (chapters 1 to 3)."""

import math
from dataclasses import dataclass

from torch import nn

SMALLEST = {"input_size": 1, "kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1, "output_size": 1}


def output_size(input_size, kernel_size, stride=1, padding=0, dilation=1):
    """Count the places where a kernel fits along one side of the input, as torch counts them.

    A kernel of ``kernel_size`` cells, spread ``dilation`` apart, covers ``dilation * (kernel_size - 1) + 1`` cells.
    It starts at the edge of the padded input and moves ``stride`` cells a step; a last, partial step is not taken
    (torch rounds down).

    Parameters
    ----------
    input_size, kernel_size, stride, padding, dilation : int
        In cells, along one side. ``padding`` is added at both ends.

    Returns
    -------
    int
        Cells of the output along that side, at least 1.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is out of range, or if the kernel does not fit even once.

    Notes
    -----
    Source: the formula in the documentation of ``torch.nn.Conv2d``; chapter 3 derives it by counting.
    """
    return _room(input_size, kernel_size, stride, padding, dilation) // stride + 1


def cells_left_over(input_size, kernel_size, stride=1, padding=0, dilation=1):
    """Count the cells behind the last window, at the end of the padded input: no window ever reads them.

    0 means that the kernel *fits*, in the sense of the lecture: the last window ends where the padded input ends. If it
    is not 0, the lecture says "does not fit", and torch leaves these cells out. The last ``padding`` of the padded cells
    are zeros, so ``max(0, cells_left_over(...) - padding)`` cells of the input itself are lost at the end. (A stride
    larger than the kernel, or a dilation, also skips cells *between* those that are read.)

    The arguments and errors are those of :func:`output_size`.
    """
    return _room(input_size, kernel_size, stride, padding, dilation) % stride


def _room(input_size, kernel_size, stride, padding, dilation):
    """Cells that the first window leaves to move in."""
    _check(input_size=input_size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    covered = dilation * (kernel_size - 1) + 1
    room = input_size + 2 * padding - covered
    if room < 0:
        raise ValueError(
            f"the kernel covers {covered} cells but the padded input has only {input_size + 2 * padding}: "
            "use a smaller kernel or dilation, or more padding"
        )
    return room


def _check(**settings):
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an integer, got {value!r}; sizes are computed once for each side")
        if value < SMALLEST[name]:
            raise ValueError(f"{name} must be at least {SMALLEST[name]}, got {value}")


@dataclass(frozen=True)
class Solutions:
    """All whole numbers from ``smallest`` to ``largest``, both included; ``largest`` may be ``math.inf``."""

    smallest: int
    largest: int | float

    def __contains__(self, value):
        return isinstance(value, int) and self.smallest <= value <= self.largest

    def __iter__(self):
        if self.largest == math.inf:
            raise ValueError(f"these solutions have no end: {self}; use .smallest, or ask for one with `in`")
        return iter(range(self.smallest, self.largest + 1))

    def __str__(self):
        if self.largest == math.inf:
            return f"{self.smallest} and all larger"
        return f"{self.smallest}" if self.smallest == self.largest else f"{self.smallest} to {self.largest}"


def solve_size(*, input_size=None, kernel_size=None, stride=None, padding=None, output_size=None, dilation=1):
    """Find the one setting that is left out, so that torch's output has the wanted size.

    Parameters
    ----------
    input_size, kernel_size, stride, padding, output_size : int
        In cells, along one side; exactly one of them is left out. ``padding`` is added at both ends.
    dilation : int
        The same as for the function :func:`output_size`; it is never the unknown.

    Returns
    -------
    Solutions
        Every value of the missing setting that gives the wanted output size, rounded down as torch does. They lie next
        to each other: more input or padding never makes the output smaller, a larger kernel or stride never larger.

    Raises
    ------
    TypeError
        If not exactly one setting is left out, or one is not an integer.
    ValueError
        If a setting is out of range, or if no value solves it; the message says what the nearest values give.
    """
    settings = dict(
        input_size=input_size, kernel_size=kernel_size, stride=stride, padding=padding, output_size=output_size
    )
    missing = [name for name, value in settings.items() if value is None]
    if len(missing) != 1:
        raise TypeError(f"leave out exactly one of {', '.join(settings)}; left out: {', '.join(missing) or 'none'}")
    unknown = missing[0]
    known = {name: value for name, value in settings.items() if name != unknown} | {"dilation": dilation}
    _check(**known)
    wanted = known.pop("output_size", None)

    if unknown == "output_size":
        count = _room(**known) // stride + 1
        return Solutions(count, count)
    if unknown == "stride":
        room = _room(**known, stride=1)
        low, high = room // wanted + 1, room // (wanted - 1) if wanted > 1 else math.inf
    else:
        # The last window starts `travel` cells after the first, and less than a stride is left over behind it.
        travel, spare = stride * (wanted - 1), stride - 1
        if unknown == "input_size":
            low = travel + dilation * (kernel_size - 1) + 1 - 2 * padding
            high = low + spare
        elif unknown == "padding":
            least = travel + dilation * (kernel_size - 1) + 1 - input_size
            low, high = -(-least // 2), (least + spare) // 2
        else:
            most = input_size + 2 * padding - 1 - travel  # of dilation * (kernel_size - 1)
            low, high = -(-(most - spare) // dilation) + 1, most // dilation + 1
    first = max(low, SMALLEST[unknown])
    if first <= high:
        return Solutions(first, high)

    tried = []
    for value in sorted({max(value, SMALLEST[unknown]) for value in (low, high)}):
        try:
            tried.append(f"{unknown} {value} gives {_room(**known, **{unknown: value}) // (stride or value) + 1}")
        except ValueError:
            tried.append(f"with {unknown} {value} the kernel does not fit")
    raise ValueError(f"no {unknown} gives output size {wanted}: {', '.join(tried)}")


def parameter_count(network, trainable_only=False):
    """Count the numbers that a network holds in its parameters.

    Parameters
    ----------
    network : torch.nn.Module
    trainable_only : bool
        Leave out parameters that are frozen (``requires_grad`` is False).

    Returns
    -------
    int
        A parameter that two layers share counts once.

    Raises
    ------
    TypeError
        If ``network`` is not a ``torch.nn.Module``.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"parameter_count needs a torch.nn.Module, got {type(network).__name__}")
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad or not trainable_only)
