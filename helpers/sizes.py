"""Exact sizes: how large a convolution's output is, and how many numbers a network learns (chapters 1 to 3)."""

from torch import nn


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
    Source: the formula in the documentation of ``torch.nn.Conv2d``; chapter 2 derives it by counting.
    """
    settings = dict(input_size=input_size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    for name, value in settings.items():
        smallest = 0 if name == "padding" else 1
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an integer, got {value!r}; call output_size once for each side")
        if value < smallest:
            raise ValueError(f"{name} must be at least {smallest}, got {value}")
    covered = dilation * (kernel_size - 1) + 1
    room = input_size + 2 * padding - covered
    if room < 0:
        raise ValueError(
            f"the kernel covers {covered} cells but the padded input has only {input_size + 2 * padding}: "
            "use a smaller kernel or dilation, or more padding"
        )
    return room // stride + 1


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
