"""Find digits in a scene by brute force: every box of a grid, at every size, goes through the network (chapter 6).

A box is left, top, right, bottom in pixels, as in ``torchvision.ops``. It is the whole frame of an MNIST image, with
its dark margin, so a digit's ink is smaller than its box.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torchvision.ops import box_iou, nms, roi_align

BACKGROUND = 10  # the class after the ten digits: "no digit here, or not one that fits this box"


class Scene(NamedTuple):
    """A picture of shape (1, height, width), the boxes (M, 4) of its digits, and their labels (M,)."""

    picture: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor


class Found(NamedTuple):
    """Boxes (M, 4), labels (M,) and probabilities (M,) of what was found, best first, and how many boxes were tried."""

    boxes: torch.Tensor
    labels: torch.Tensor
    probabilities: torch.Tensor
    tried: int


def compose_scene(images, labels, *, count=5, sizes=(24, 48), height=96, width=144, generator):
    """Put ``count`` digits, drawn from ``images``, at random places and sizes on a dark canvas, so that ink hardly ever overlaps.

    Parameters
    ----------
    images, labels : torch.Tensor
        Shapes (N, 1, 28, 28) and (N,).
    sizes : (int, int)
        Smallest and largest side of a digit's box, in pixels.
    generator : torch.Generator

    Raises
    ------
    ValueError
        If so many digits find no place.
    """
    picture, boxes, chosen = torch.zeros(1, height, width), [], []
    for _ in range(200 * count):
        side = int(torch.randint(sizes[0], sizes[1] + 1, (), generator=generator))
        top = int(torch.randint(height - side + 1, (), generator=generator))
        left = int(torch.randint(width - side + 1, (), generator=generator))
        which = int(torch.randint(len(images), (), generator=generator))
        box = torch.tensor([[left, top, left + side, top + side]], dtype=torch.float32)
        if boxes and box_iou(box, torch.cat(boxes)).max() > 0.05:
            continue  # the dark margins of two boxes may overlap, no more
        digit = F.interpolate(images[which : which + 1], size=(side, side), mode="bilinear", antialias=True)[0]
        place = picture[:, top : top + side, left : left + side]
        torch.maximum(place, digit, out=place)
        boxes.append(box)
        chosen.append(int(labels[which]))
        if len(boxes) == count:
            return Scene(picture, torch.cat(boxes), torch.tensor(chosen))
    raise ValueError(
        f"no place for {count} digits of {sizes[0]} to {sizes[1]} pixels on {height}×{width}: fewer or smaller ones"
    )


def grid_boxes(height, width, sizes, step):
    """All square boxes of the given sides inside a picture; neighbours are ``step`` of their side apart (0 < step).

    Returns a tensor (K, 4). The distance is rounded to whole pixels, at least 1.
    """
    boxes = []
    for side in sizes:
        by = max(1, round(step * side))
        for top in range(0, height - side + 1, by):
            boxes += [(left, top, left + side, top + side) for left in range(0, width - side + 1, by)]
    if not boxes:
        raise ValueError(f"no box of side {min(sizes)} fits into a picture of {height}×{width}")
    return torch.tensor(boxes, dtype=torch.float32)


def crops(picture, boxes):
    """Cut the boxes (K, 4) out of a picture (1, height, width), each resized to (1, 28, 28): shape (K, 1, 28, 28)."""
    return roi_align(picture[None], [boxes], output_size=28, sampling_ratio=2, aligned=True)


def find(network, picture, *, sizes, step, threshold=0.9, overlap=0.2, batch_size=1000):
    """Try all boxes of a grid, keep those that the network is sure of, and of boxes that overlap only the surest.

    Parameters
    ----------
    network : torch.nn.Module
        From crops (K, 1, 28, 28) to scores (K, 10), or (K, 11) with :data:`BACKGROUND` last.
    picture : torch.Tensor
        Shape (1, height, width).
    sizes, step
        The grid, see :func:`grid_boxes`.
    threshold : float
        A box counts if the probability of its best digit is at least this.
    overlap : float
        Boxes whose intersection over union is larger than this are taken for the same digit (non-maximum suppression).

    Returns
    -------
    Found
    """
    boxes = grid_boxes(*picture.shape[1:], sizes, step)
    network.eval()
    with torch.no_grad():
        scores = torch.cat([network(crops(picture, part)) for part in boxes.split(batch_size)])
    best, label = scores.softmax(dim=1)[:, :BACKGROUND].max(dim=1)
    sure = best >= threshold
    kept = nms(boxes[sure], best[sure], overlap)
    return Found(boxes[sure][kept], label[sure][kept], best[sure][kept], len(boxes))


def surer(found, threshold):
    """Of what was found, only the boxes whose probability is at least ``threshold``.

    As :func:`find` goes from the surest box down, this is what it finds with that threshold (if it is the higher one).
    """
    sure = found.probabilities >= threshold
    return Found(found.boxes[sure], found.labels[sure], found.probabilities[sure], found.tried)


def judged(found, scene, overlap=0.5):
    """Compare what was found with what is there: for each box, True if it is right, False if it is a false alarm.

    A digit of the scene is found if a box of the same label covers it with an intersection over union of at least
    ``overlap``. Every other box is a false alarm, also a second one on the same digit. The scene's other digits were
    missed.
    """
    open_boxes, right = list(range(len(scene.labels))), []
    for box, label in zip(found.boxes, found.labels):
        covers = box_iou(box[None], scene.boxes)[0]
        hits = [i for i in open_boxes if scene.labels[i] == label and covers[i] >= overlap]
        if hits:
            open_boxes.remove(max(hits, key=lambda i: covers[i]))
        right.append(bool(hits))
    return right


def count_found(found, scene, overlap=0.5):
    """Count what :func:`judged` says: (right ones, false alarms)."""
    right = judged(found, scene, overlap)
    return sum(right), len(right) - sum(right)


def training_crops(images, labels, *, scenes, tolerance, generator, copies=3, misses=18, **composition):
    """Cut crops with labels out of composed scenes: digits that fit their box, and boxes with no digit that fits.

    Parameters
    ----------
    images, labels : torch.Tensor
        Training images, for :func:`compose_scene`, as ``composition`` is.
    scenes : int
        How many scenes.
    tolerance : float
        A digit's box is moved and resized at random by up to this share of its side, so that the network learns to
        accept it a little off.
    copies : int
        Boxes drawn for each digit.
    misses : int
        Boxes drawn at random in each scene. Those that overlap no digit's box by an intersection over union of 0.4 or
        more are labelled :data:`BACKGROUND`; the others are dropped, because they are neither one nor the other.

    Returns
    -------
    (torch.Tensor, torch.Tensor)
        Crops (K, 1, 28, 28) and labels (K,) from 0 to 10.
    """

    def uniform(*shape):  # from -1 to 1
        return 2 * torch.rand(*shape, generator=generator) - 1

    all_crops, all_labels = [], []
    for _ in range(scenes):
        scene = compose_scene(images, labels, generator=generator, **composition)
        middles = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2
        sides = scene.boxes[:, 2:] - scene.boxes[:, :2]

        which = torch.arange(len(sides)).repeat(copies)
        hits = _squares(
            middles[which] + tolerance * uniform(len(which), 2) * sides[which],
            sides[which] * (1 + tolerance * uniform(len(which), 1)),
        )

        # Half of the misses anywhere, half of them near a digit and about as large, where it is hardest to tell.
        nearby = torch.randint(len(sides), (misses // 2,), generator=generator)
        extent = torch.tensor(scene.picture.shape[:0:-1])
        anywhere = torch.rand(misses - misses // 2, 2, generator=generator) * extent
        size = sides.mean() * 2 ** uniform(len(anywhere), 1)
        missed = torch.cat([
            _squares(middles[nearby] + uniform(len(nearby), 2) * sides[nearby], sides[nearby] * 2 ** uniform(len(nearby), 1)),
            _squares(anywhere, size),
        ])  # fmt: skip
        missed = missed[box_iou(missed, scene.boxes).max(dim=1).values < 0.4]

        all_crops.append(crops(scene.picture, torch.cat([hits, missed])))
        all_labels += [scene.labels[which], torch.full((len(missed),), BACKGROUND)]
    return torch.cat(all_crops), torch.cat(all_labels)


def _squares(middles, sides):
    return torch.cat([middles - sides / 2, middles + sides / 2], dim=1)
