"""Figures that the reader moves: in the pages without a kernel, and in a notebook as widgets with torch's names.

``explorables.Convolution()`` in a cell shows one. Each is a Python class, and a JavaScript file beside it that draws.
"""

from helpers.explorables.channels import Channels
from helpers.explorables.connections import Connections
from helpers.explorables.convolution import Convolution
from helpers.explorables.equivariance import Equivariance
from helpers.explorables.invariances import Invariances
from helpers.explorables.lenet import LeNet
from helpers.explorables.pooling import Pooling
from helpers.explorables.receptive_field import ReceptiveField
from helpers.explorables.sizes import Sizes
from helpers.explorables.training import Training

__all__ = [
    "Channels",
    "Connections",
    "Convolution",
    "Equivariance",
    "Invariances",
    "LeNet",
    "Pooling",
    "ReceptiveField",
    "Sizes",
    "Training",
]
