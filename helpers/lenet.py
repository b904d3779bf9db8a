"""LeNet twice: as it is written today, and LeNet-5 as LeCun, Bottou, Bengio and Haffner published it in 1998."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

# Which of the six maps of S2 each of the sixteen maps of C3 sees (the paper's Table I).
CONNECTIONS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 0), (5, 0, 1)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 0), (4, 5, 0, 1), (5, 0, 1, 2)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


class _DigitNetwork(nn.Module):
    # `layers` is a Sequential with names: network.layers.conv1, network.layers[:3](images), ….
    def __init__(self, **layers):
        super().__init__()
        self.layers = nn.Sequential(OrderedDict(layers))

    def forward(self, images):
        if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
            raise ValueError(
                f"{type(self).__name__} takes images of shape (N, 1, 28, 28), got {tuple(images.shape)}: "
                "for one image of MNIST use images[:1], not images[0]"
            )
        return self.layers(images)


class LeNet(_DigitNetwork):
    """The network as it is written today: 61,706 parameters.

    Images (N, 1, 28, 28) with values from 0 to 1 in, logits (N, 10) out. Against :class:`LeNet5`: padding in the first
    layer in place of a larger input, every map of the second convolution sees all six maps, ReLU, max pooling without
    parameters, and a linear last layer.
    """

    def __init__(self):
        super().__init__(
            conv1=nn.Conv2d(1, 6, kernel_size=5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, kernel_size=5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(400, 120),
            relu3=nn.ReLU(),
            fc2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            fc3=nn.Linear(84, 10),
        )


class LeNet5(_DigitNetwork):
    """LeNet-5 after the paper: 60,000 trainable parameters.

    Images (N, 1, 28, 28) with values from 0 to 1 in. Out come scores (N, 10): minus the paper's outputs, which are
    squared distances, so that the largest score is the answer and ``F.cross_entropy`` applies.

    The layers have the paper's names. What differs from the paper:

    - The target codes. The paper's are small pictures of the characters, 7 columns by 12 rows; ours are no pictures:
      any two of them differ in half of their places (:func:`digit_codes`).
    - The loss is left to whoever trains. Cross-entropy of these scores is the paper's discriminative loss (equation 9)
      without its constant for images that are no character.
    - Weights start as in ``nn.Conv2d`` and ``nn.Linear``, and the subsampling as the mean of its window; the paper
      draws weights between ±2.4 over the number of a neuron's inputs. It also trains by a method of second order.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition,
    Proceedings of the IEEE 86(11), 1998, section II; chapter 5.
    """

    def __init__(self):
        super().__init__(
            input=Input(),
            c1=nn.Conv2d(1, 6, kernel_size=5),
            tanh1=ScaledTanh(),
            s2=Subsampling(6),
            tanh2=ScaledTanh(),
            c3=SparseConv2d(CONNECTIONS, kernel_size=5),
            tanh3=ScaledTanh(),
            s4=Subsampling(16),
            tanh4=ScaledTanh(),
            c5=nn.Conv2d(16, 120, kernel_size=5),
            tanh5=ScaledTanh(),
            flatten=nn.Flatten(),
            f6=nn.Linear(120, 84),
            tanh6=ScaledTanh(),
            output=MinusSquaredDistance(digit_codes()),
        )


class Input(nn.Module):
    """Images (N, 1, 28, 28) from 0 to 1 become (N, 1, 32, 32), with −0.1 for paper and 1.175 for ink."""

    def forward(self, images):
        return 1.275 * F.pad(images, (2, 2, 2, 2)) - 0.1


class ScaledTanh(nn.Module):
    """1.7159 · tanh(2/3 · a): the factors make f(1) = 1 and f(−1) = −1, nearly."""

    def forward(self, a):
        return 1.7159 * torch.tanh(2 / 3 * a)


class Subsampling(nn.Module):
    """Trainable subsampling: the sum of each 2×2 window, times one weight and plus one bias for each map.

    Maps (N, channels, height, width) become (N, channels, height // 2, width // 2).
    """

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, maps):
        return self.weight * (4 * F.avg_pool2d(maps, 2)) + self.bias


class SparseConv2d(nn.Module):
    """A convolution in which every output map sees some of the input maps.

    ``connections[i]`` names the input maps that output map i sees. Only their kernels exist, so only they are counted
    and trained. Maps (N, in_channels, height, width) become (N, len(connections), …), as in ``nn.Conv2d``.
    """

    def __init__(self, connections, kernel_size):
        super().__init__()
        outputs = [output for output, inputs in enumerate(connections) for _ in inputs]
        inputs = [input for inputs in connections for input in inputs]
        self.register_buffer("outputs", torch.tensor(outputs), persistent=False)
        self.register_buffer("inputs", torch.tensor(inputs), persistent=False)
        self.shape = (len(connections), max(inputs) + 1, kernel_size, kernel_size)
        # As in nn.Conv2d: uniform between ±1/√n for a neuron with n inputs.
        bounds = torch.tensor([len(inputs) * kernel_size**2 for inputs in connections]) ** -0.5
        weight = 2 * torch.rand(len(inputs), kernel_size, kernel_size) - 1
        self.weight = nn.Parameter(weight * bounds[outputs, None, None])
        self.bias = nn.Parameter((2 * torch.rand(len(connections)) - 1) * bounds)

    def dense_weight(self):
        """The weight of the ``nn.Conv2d`` that computes the same: zeros where there is no connection."""
        return self.weight.new_zeros(self.shape).index_put((self.outputs, self.inputs), self.weight)

    def forward(self, maps):
        return F.conv2d(maps, self.dense_weight(), self.bias)


class MinusSquaredDistance(nn.Module):
    """Features (N, F) become scores (N, classes): minus the squared distances to the fixed ``codes`` (classes, F).

    This is the paper's output layer of Euclidean radial basis functions (RBF), with the sign changed.
    """

    def __init__(self, codes):
        super().__init__()
        self.register_buffer("codes", codes)

    def forward(self, features):
        # (N, 1, F) − (classes, F) is (N, classes, F); the sum is over F.
        return -(features[:, None] - self.codes).square().sum(2)


def digit_codes():
    """Ten codes of 84 numbers ±1, shape (10, 84). Any two of them differ in exactly 42 places, half of all.

    They are rows of a Hadamard matrix after R. Paley (1933), made from the squares modulo the prime number 83.
    """
    squares = {number**2 % 83 for number in range(83)}
    codes = [[1] + [1 if (column - digit) % 83 in squares else -1 for column in range(83)] for digit in range(10)]
    return torch.tensor(codes, dtype=torch.float32)
