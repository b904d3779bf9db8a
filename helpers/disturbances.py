"""Ways to make a digit harder to recognise that are no change of place or shape alone (chapter 6).

All of them take images (N, 1, height, width) with values from 0 to 1 and return such images. What is random comes from
``generator``, a ``torch.Generator``, so that every network can be shown the same images.
"""

import torch

from helpers.equivariance import shifted


def occlude(images, side, *, generator, value=0.0):
    """Cover a square of ``side`` × ``side`` pixels of each image with ``value``, each at a random place."""
    _check(images)
    height, width = images.shape[-2:]
    if not 0 <= side <= min(height, width):
        raise ValueError(f"the square's side must be from 0 to {min(height, width)} pixels, got {side}")
    top = torch.randint(height - side + 1, (len(images), 1, 1, 1), generator=generator)
    left = torch.randint(width - side + 1, (len(images), 1, 1, 1), generator=generator)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    covered = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    return images.masked_fill(covered, value)


def relight(images, *, contrast=1.0, brightness=0.0):
    """Multiply by ``contrast``, add ``brightness``, and cut off below 0 and above 1, as a camera does."""
    _check(images)
    return (contrast * images + brightness).clamp(0, 1)


def shade(images, strength):
    """Light from the right: add 0 at the left edge, growing to ``strength`` at the right edge; cut off at 1.

    Light is added, as glare does; a shadow would multiply.
    """
    _check(images)
    return (images + torch.linspace(0, strength, images.shape[-1])).clamp(0, 1)


def add_noise(images, deviation, *, generator):
    """Add to each pixel a normal random number of standard deviation ``deviation``; cut off below 0 and above 1."""
    _check(images)
    return (images + deviation * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def add_neighbour(images, others, distance):
    """Put another digit to the right of each: ``others``, moved by ``distance`` pixels; the brighter pixel wins."""
    _check(images)
    return torch.maximum(images, shifted(others, right=distance))


def _check(images):
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"expected images of shape (N, 1, height, width), got {tuple(images.shape)}")
