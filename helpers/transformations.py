"""Move, rotate, scale, stretch, shear and bend images: to test a network with them, or to make more data of the data.

Every image of a batch has its own transformation, and the whole batch is one call of torch's ``grid_sample``.
"""

import math

import torch
import torch.nn.functional as F


def affine(images, *, translate=(0, 0), rotate=0, scale=1, stretch=1, shear=0):
    """Transform images about their centre: stretch, then shear, rotate, scale, and at last translate.

    A value between pixels is interpolated (bilinear). What comes from outside of the image is 0. Where nothing is to
    be done, the image comes back exactly as it was.

    Parameters
    ----------
    images : torch.Tensor
        Shape (N, C, H, W), floating point.
    translate : pair (right, down)
        In pixels.
    rotate : number or tensor
        In degrees, counter-clockwise as the image is seen.
    scale : number or tensor
        2 makes everything twice as large.
    stretch : number or tensor
        2 makes everything twice as wide, and leaves the height.
    shear : number or tensor
        In degrees, between −90 and 90: so far a vertical stroke then leans to the right, as in italics.

    Each setting (and each of the two in ``translate``) is a number for all images, or a tensor (N,), one for each.

    Returns
    -------
    torch.Tensor
        Shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If the images or a setting are not of that kind; the message says which.
    """
    _check_images(images)
    if not isinstance(translate, (tuple, list)) or len(translate) != 2:
        raise TypeError(f"translate must be a pair (right, down), in pixels, got {translate!r}")
    settings = {"translate": translate[0], "translate (down)": translate[1], "rotate": rotate}
    settings |= {"scale": scale, "stretch": stretch, "shear": shear}
    right, down, rotate, scale, stretch, shear = (_each(name, value, images) for name, value in settings.items())
    for name, value in {"scale": scale, "stretch": stretch}.items():
        if not (value > 0).all():
            raise ValueError(f"{name} must be greater than 0 (1 changes nothing), got {value.min().item():g}")
    if not (shear.abs() < 90).all():
        raise ValueError(f"shear must be between -90 and 90 degrees, got {shear[shear.abs().argmax()].item():g}")

    # affine_grid wants to know where a pixel of the result comes from: the inverse of each step, in the opposite order.
    # Coordinates are pixels from the centre, x to the right and y down.
    cos, sin, lean = torch.cos(rotate.deg2rad()), torch.sin(rotate.deg2rad()), torch.tan(shear.deg2rad())
    one, zero = torch.ones_like(lean), torch.zeros_like(lean)
    unscale_and_turn_back = _matrices([[cos / scale, -sin / scale], [sin / scale, cos / scale]])
    straighten = _matrices([[one, lean], [zero, one]])
    narrow = _matrices([[1 / stretch, zero], [zero, one]])
    inverse = narrow @ straighten @ unscale_and_turn_back
    inverse = torch.cat([inverse, -inverse @ torch.stack([right, down], 1).unsqueeze(2)], dim=2)
    # affine_grid measures in half widths and half heights.
    half = torch.tensor([images.shape[3] / 2, images.shape[2] / 2, 1], dtype=inverse.dtype, device=images.device)
    grid = F.affine_grid((inverse * half / half[:2, None]).to(images.dtype), images.shape, align_corners=False)
    transformed = F.grid_sample(images, grid, align_corners=False)
    # Rounding in the grid moves even the identity by a millionth of a pixel.
    unchanged = (right == 0) & (down == 0) & (rotate == 0) & (scale == 1) & (stretch == 1) & (shear == 0)
    return torch.where(unchanged[:, None, None, None], images, transformed)


def random_affine(images, generator=None, *, translate=2, rotate=15, scale=1.15, stretch=1.15, shear=10):
    """Transform every image in its own random way: data made by what we know of digits, see :func:`affine`.

    Parameters
    ----------
    images : torch.Tensor
        Shape (N, C, H, W), floating point.
    generator : torch.Generator, optional
        On the CPU; else torch's own random numbers are used (which :func:`helpers.training.fit` seeds).
    translate, rotate, shear : number
        The most, in pixels or degrees, in either direction: each is drawn evenly from −most to most.
    scale, stretch : number, at least 1
        The most: the logarithm is drawn evenly, so 2 is from half to twice, half as often as twice.

    Returns
    -------
    torch.Tensor
        Shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        As :func:`affine` does.
    """
    _check_images(images)
    for name, value in {"scale": scale, "stretch": stretch}.items():
        if value < 1:
            raise ValueError(f"{name} is the largest factor, at least 1 (the smallest is then 1/{name}), got {value}")
    draws = 2 * torch.rand(6, len(images), generator=generator) - 1
    right, down, turn, size, width, lean = draws.to(images.device)
    return affine(
        images,
        translate=(translate * right, translate * down),
        rotate=rotate * turn,
        scale=torch.exp(math.log(scale) * size),
        stretch=torch.exp(math.log(stretch) * width),
        shear=shear * lean,
    )


def elastic(images, generator=None, *, strength=34, smoothness=4):
    """Bend every image in its own random way, as an unsteady hand would.

    Every pixel is moved by a random step; the steps are made alike among neighbours by a Gaussian blur. P. Simard,
    D. Steinkraus and J. Platt, "Best practices for convolutional neural networks applied to visual document
    analysis" (2003); the settings are theirs for MNIST.

    Parameters
    ----------
    images : torch.Tensor
        Shape (N, C, H, W), floating point.
    generator : torch.Generator, optional
        As for :func:`random_affine`.
    strength : number
        In pixels: a random step is from −strength to strength each way, before the blur makes it far smaller.
    smoothness : number
        Standard deviation of the blur, in pixels.

    Returns
    -------
    torch.Tensor
        Shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is not of that kind.
    """
    _check_images(images)
    if not smoothness > 0:
        raise ValueError(f"smoothness must be greater than 0, got {smoothness}")
    number, _, *size = images.shape
    steps = strength * (2 * torch.rand(number, 2, *size, generator=generator) - 1)
    # A blur along columns or rows is a product with a matrix: its row i holds the weights of all pixels for pixel i.
    vertical, horizontal = (
        torch.exp(-((torch.arange(length)[:, None] - torch.arange(length)) ** 2) / (2 * smoothness**2))
        / (smoothness * math.sqrt(2 * math.pi))
        for length in size
    )
    steps = (vertical @ steps @ horizontal).permute(0, 2, 3, 1) * torch.tensor([2 / size[1], 2 / size[0]])
    grid = F.affine_grid(torch.eye(2, 3).expand(number, 2, 3), images.shape, align_corners=False) + steps
    return F.grid_sample(images, grid.to(images), align_corners=False)


def _check_images(images):
    if not isinstance(images, torch.Tensor):
        raise TypeError(f"images must be a torch.Tensor, got {type(images).__name__}")
    if images.ndim != 4 or not images.is_floating_point():
        raise TypeError(
            f"expected floating-point images of shape (N, C, H, W), got {images.dtype} of shape {tuple(images.shape)}; "
            "a single image is a batch of one: images[None]"
        )


def _each(name, value, images):
    # In double precision: the matrices then add nothing to the rounding of the image.
    try:
        value = torch.as_tensor(value, dtype=torch.float64, device=images.device)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be a number or a tensor of shape ({len(images)},), got {value!r}") from None
    if value.ndim and value.shape != (len(images),):
        raise ValueError(
            f"{name} must be a number or a tensor of shape ({len(images)},), one for each image, "
            f"got {tuple(value.shape)}"
        )
    if not value.isfinite().all():
        raise ValueError(f"{name} must be finite, got {value.tolist()}")
    return value.expand(len(images))


def _matrices(rows):
    # [[a, b], [c, d]] of tensors (N,) -> (N, 2, 2).
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
