"""helpers.lenet: both networks have the layers and the parameters that chapter 5 says, and can be trained."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers import mnist
from helpers.lenet import CONNECTIONS, LeNet, LeNet5, MinusSquaredDistance, SparseConv2d, Subsampling, digit_codes
from helpers.sizes import parameter_count
from helpers.training import evaluate, fit, seed_everything


def bill(network):
    counts = {name: parameter_count(layer) for name, layer in network.layers.named_children()}
    return {name: count for name, count in counts.items() if count}


@pytest.mark.row("N1", "N2")
def test_lenet5_has_the_parameters_of_the_paper_in_every_layer():
    network = LeNet5()
    assert bill(network) == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48120, "f6": 10164}
    assert parameter_count(network) == parameter_count(network, trainable_only=True) == 60_000


@pytest.mark.row("N1", "N2")
def test_lenet_of_today_has_61706_parameters():
    network = LeNet()
    assert bill(network) == {"conv1": 156, "conv2": 2416, "fc1": 48120, "fc2": 10164, "fc3": 850}
    assert parameter_count(network) == 61_706


MAPS_OF_TODAY = dict(conv1=(6, 28, 28), pool1=(6, 14, 14), conv2=(16, 10, 10), pool2=(16, 5, 5), flatten=(400,))
MAPS_OF_1998 = dict(input=(1, 32, 32), c1=(6, 28, 28), s2=(6, 14, 14), c3=(16, 10, 10), s4=(16, 5, 5), c5=(120, 1, 1))


@pytest.mark.row("N2")
@pytest.mark.parametrize(
    "make, shapes",
    [
        (LeNet, MAPS_OF_TODAY | dict(fc1=(120,), fc2=(84,), fc3=(10,))),
        (LeNet5, MAPS_OF_1998 | dict(f6=(84,), output=(10,))),
    ],
)
def test_every_layer_has_the_shape_of_the_paper(make, shapes):
    maps = torch.rand(3, 1, 28, 28)
    for name, layer in make().layers.named_children():
        maps = layer(maps)
        if name in shapes:
            assert maps.shape == (3, *shapes[name]), name


@pytest.mark.parametrize("make", [LeNet, LeNet5])
@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 3, 28, 28), (2, 1, 32, 32), (2, 784)])
def test_images_of_another_shape_are_named_in_the_error(make, shape):
    with pytest.raises(ValueError, match=rf"{make.__name__} takes images of shape \(N, 1, 28, 28\), got"):
        make()(torch.rand(shape))


def test_the_input_is_framed_with_paper_and_scaled_as_in_the_paper():
    framed = LeNet5().layers.input(torch.ones(1, 1, 28, 28))
    assert torch.allclose(framed[:, :, 2:-2, 2:-2], torch.tensor(1.175))
    framed[:, :, 2:-2, 2:-2] = -0.1
    assert torch.allclose(framed, torch.tensor(-0.1))


def test_scaled_tanh_passes_through_plus_and_minus_one():
    f = LeNet5().layers.tanh1
    assert torch.allclose(f(torch.tensor([-1.0, 0.0, 1.0])), torch.tensor([-1.0, 0.0, 1.0]), atol=1e-4)
    assert f(torch.tensor(100.0)).item() == pytest.approx(1.7159)


def test_the_connections_are_those_of_the_papers_table():
    assert [len(inputs) for inputs in CONNECTIONS] == [3] * 6 + [4] * 9 + [6]
    assert len({frozenset(inputs) for inputs in CONNECTIONS}) == 16  # no two maps see the same maps
    seen = [sum(channel in inputs for inputs in CONNECTIONS) for channel in range(6)]
    assert seen == [10] * 6  # every map of S2 is used equally often


def test_a_sparse_convolution_is_a_dense_one_with_zeros_forward_and_backward():
    torch.manual_seed(0)
    sparse = SparseConv2d(CONNECTIONS, kernel_size=5).double()
    dense = nn.Conv2d(6, 16, 5).double()
    with torch.no_grad():
        dense.weight.zero_()
        dense.bias.copy_(sparse.bias)
        kernel = iter(sparse.weight)
        for output, inputs in enumerate(CONNECTIONS):
            for channel in inputs:
                dense.weight[output, channel] = next(kernel)
    maps = torch.randn(2, 6, 14, 14, dtype=torch.float64)
    assert torch.allclose(sparse(maps), dense(maps))
    assert torch.equal(sparse.dense_weight(), dense.weight)

    sparse(maps).square().sum().backward()
    dense(maps).square().sum().backward()
    expected = [dense.weight.grad[output, channel] for output, inputs in enumerate(CONNECTIONS) for channel in inputs]
    assert torch.allclose(sparse.weight.grad, torch.stack(expected))
    assert torch.allclose(sparse.bias.grad, dense.bias.grad)


@pytest.mark.row("N2")
def test_subsampling_is_a_weight_times_the_sum_of_the_window_plus_a_bias():
    layer = Subsampling(2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([2.0, -1.0]).view(2, 1, 1))
        layer.bias.copy_(torch.tensor([0.5, 0.0]).view(2, 1, 1))
    window = torch.tensor([[1.0, 2], [3, 4]]).expand(1, 2, 2, 2)
    assert layer(window).flatten().tolist() == [20.5, -10]


def test_subsampling_starts_as_the_mean_of_the_window():
    maps = torch.rand(2, 6, 28, 28)
    assert torch.allclose(Subsampling(6)(maps), F.avg_pool2d(maps, 2))


def test_any_two_codes_differ_in_half_of_their_places():
    codes = digit_codes()
    assert codes.shape == (10, 84)
    assert codes.abs().eq(1).all()
    different = (codes[:, None] != codes).sum(2)
    assert torch.equal(different, 42 * (1 - torch.eye(10, dtype=torch.int64)))


def test_scores_are_minus_the_squared_distance_to_the_codes_and_the_codes_stay_fixed():
    codes = digit_codes()
    output = MinusSquaredDistance(codes)
    features = codes[[3]] + 0.5
    scores = output(features)
    assert scores[0, 3].item() == pytest.approx(-84 * 0.25)
    assert torch.allclose(scores[0], -((features - codes) ** 2).sum(1))
    assert not list(output.parameters())
    assert "codes" in output.state_dict()


@pytest.mark.row("N2", "N3")
@pytest.mark.parametrize("make", [LeNet, LeNet5])
def test_both_learn_with_cross_entropy(make):
    images, labels = mnist.load("train")
    seed_everything(0)
    network = make()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    fit(network, images[:3000], labels[:3000], optimizer=optimizer, epochs=2, batch_size=50)
    assert evaluate(network, images[3000:4000], labels[3000:4000]).accuracy > 0.8
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]) == (name == "layers.output.codes"), name


@pytest.mark.parametrize("make", [LeNet, LeNet5])
def test_a_copy_with_the_same_state_gives_the_same_scores(make):
    network, other = make(), make()
    other.load_state_dict(copy.deepcopy(network.state_dict()))
    images = torch.rand(4, 1, 28, 28)
    assert torch.equal(network(images), other(images))
