"""Equivariance under shifts, measured: shift the input, or shift the output, and compare (chapter 6)."""

import math
from itertools import product

import torch


def shifted(images, down=0, right=0, *, circular=False):
    """Move images by whole cells.

    Parameters
    ----------
    images : torch.Tensor
        Shape (..., height, width).
    down, right : int
        Cells; negative numbers move up and left.
    circular : bool
        What leaves at one side comes in again at the other. Otherwise it is lost, and zeros come in.

    Returns
    -------
    torch.Tensor
        Of the same shape.
    """
    moved = torch.roll(images, (down, right), dims=(-2, -1))
    if not circular:
        height, width = images.shape[-2:]
        moved[..., : max(0, min(down, height)), :] = 0
        moved[..., max(0, height + min(down, 0)) :, :] = 0
        moved[..., :, : max(0, min(right, width))] = 0
        moved[..., :, max(0, width + min(right, 0)) :] = 0
    return moved


def shift_error(layer, images, down, right, *, stride=1, border=0, circular=False):
    """Measure how far a layer is from being equivariant under one shift of its input.

    Two ways are compared: shift the images, then apply the layer; or apply the layer, then shift its maps. With a
    stride, a shift by ``stride`` pixels has to move the maps by one cell. A shift in between would have to move them
    by a part of a cell, which maps cannot; they are then compared with the nearest whole shifts, and the best counts.

    Parameters
    ----------
    layer : callable
        From images (N, channels, height, width) to maps (N, maps, rows, columns).
    images : torch.Tensor
    down, right : int
        Shift of the images, in pixels.
    stride : int
        Pixels of the image per cell of the map, all layers together.
    border : int
        Cells at each side of the maps that are left out, because padding reaches them. The cells that pixels from
        outside the image have moved into are always left out, unless the shift is circular.
    circular : bool
        See :func:`shifted`.

    Returns
    -------
    float
        Root mean square of the difference, as a share of the root mean square of the maps: 0 is equivariant, and two
        maps that have nothing to do with each other (of mean 0) are about 1.4 apart.

    Raises
    ------
    ValueError
        If nothing of the maps is left to compare.
    """
    with torch.no_grad():
        maps = layer(images)
    return _shift_error(layer, images, maps, down, right, stride, border, circular)


def _shift_error(layer, images, maps, down, right, stride, border, circular):
    with torch.no_grad():
        moved = layer(shifted(images, down, right, circular=circular))
    best = math.inf
    for rows, columns in product(*({math.floor(by / stride), math.ceil(by / stride)} for by in (down, right))):
        difference = moved - shifted(maps, rows, columns, circular=circular)
        inside = (...,)
        for by, length in ((down, maps.shape[-2]), (right, maps.shape[-1])):
            came_in = 0 if circular else math.ceil(abs(by) / stride)  # cells, on the side the shift leaves behind
            first, last = border + came_in * (by > 0), length - border - came_in * (by < 0)
            if first >= last:
                raise ValueError(
                    f"a shift by ({down}, {right}) and a border of {border} leave nothing of maps of "
                    f"{maps.shape[-2]}×{maps.shape[-1]}: use larger images or smaller shifts"
                )
            inside += (slice(first, last),)
        size = moved[inside].square().mean().sqrt().item()
        error = difference[inside].square().mean().sqrt().item()
        best = min(best, error / size if size else float(error > 0) and math.inf)
    return best


def shift_errors(layer, images, shifts, *, stride=1, border=0, circular=False):
    """Measure :func:`shift_error` for all pairs of shifts: rows of the result are ``down``, columns are ``right``.

    ``shifts`` is a sequence of n integers; the result is a tensor of shape (n, n), float64.
    """
    with torch.no_grad():
        maps = layer(images)  # once for all
    settings = (stride, border, circular)
    return torch.tensor(
        [[_shift_error(layer, images, maps, down, right, *settings) for right in shifts] for down in shifts],
        dtype=torch.float64,
    )
