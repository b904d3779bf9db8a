"""What a convolution accepts, and how it refuses the rest: torch's rules, and torch's words where it has good ones."""

import torch

PADDING_MODES = {"zeros", "reflect", "replicate", "circular"}


def pair(value, name):
    """Turn an integer, or one or two of them, into a pair for rows and columns."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(values) not in (1, 2):
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of 2 values to match the convolution dimensions, "
            f"but got {name}={list(values)}"
        )
    if not all(isinstance(number, int) for number in values):
        raise TypeError(f"{name} must be an integer or a pair of integers, got {value!r}")
    return values * 2 if len(values) == 1 else values


def borders_of(padding, kernel_size, stride, dilation):
    """Cells to add (left, right, top, bottom), in the order of ``F.pad``; ``padding`` may be "valid" or "same"."""
    if not isinstance(padding, str):
        top, left = pair(padding, "padding")
        return left, left, top, top
    if padding not in ("valid", "same"):
        raise RuntimeError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
    if padding == "valid":
        return 0, 0, 0, 0
    if tuple(stride) != (1, 1):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    height, width = (d * (k - 1) for k, d in zip(kernel_size, dilation))
    return width // 2, width - width // 2, height // 2, height - height // 2


def autocast(tensor):
    """The tensor as torch.autocast wants it: float64, whole numbers and None as they are, all else in its number type."""
    if tensor is None or not tensor.is_floating_point() or tensor.dtype == torch.float64:
        return tensor
    return tensor.to(torch.get_autocast_dtype(tensor.device.type))


def check_input(input):
    """Refuse what is neither a batch of images nor one image."""
    if not isinstance(input, torch.Tensor):
        raise TypeError(f"conv2d() needs a torch.Tensor as input, got {type(input).__name__}")
    if input.ndim not in (3, 4):
        raise RuntimeError(
            f"Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: {list(input.shape)}"
        )


def check_layer(in_channels, out_channels, groups, padding_mode):
    """Refuse the settings that torch's layer refuses when it is made."""
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups:
        raise ValueError("out_channels must be divisible by groups")
    if padding_mode not in PADDING_MODES:
        raise ValueError(f"padding_mode must be one of {PADDING_MODES}, but got padding_mode={padding_mode!r}")


def check_call(input, weight, bias, stride, borders, dilation, groups):
    """Refuse tensors and settings that do not fit each other."""
    out_channels, channels, *kernel_size = weight.shape
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if out_channels == 0 or out_channels % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0 and divisible by {groups}, "
            f"but got weight of size {list(weight.shape)} instead"
        )
    if input.shape[1] != channels * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(input.shape)} to have "
            f"{channels * groups} channels, but got {input.shape[1]} channels instead"
        )
    if input.dtype != weight.dtype:
        raise RuntimeError(f"Input type ({input.dtype}) and weight type ({weight.dtype}) should be the same")
    if bias is not None and (bias.shape != (out_channels,) or bias.dtype != weight.dtype):
        raise RuntimeError(
            f"Given weight of size {list(weight.shape)} and type {weight.dtype}, expected bias to be 1-dimensional with "
            f"{out_channels} elements of that type, but got bias of size {list(bias.shape)} and type {bias.dtype}"
        )
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise RuntimeError("non-positive dilation is not supported")
    if min(kernel_size) <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got kernel size {tuple(kernel_size)}")
    if min(borders) < 0:
        raise RuntimeError("negative padding is not supported")
    left, right, top, bottom = borders
    height, width = input.shape[2] + top + bottom, input.shape[3] + left + right
    covered = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation)]
    if height < covered[0] or width < covered[1]:
        raise RuntimeError(
            f"Calculated padded input size per channel: ({height} x {width}). "
            f"Kernel size: ({covered[0]} x {covered[1]}). Kernel size can't be greater than actual input size"
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(f"Only zero batch or zero channel inputs are supported, but got input shape: {list(input.shape)}")
