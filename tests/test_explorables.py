"""helpers.explorables from Python: what traits accept and refuse, the numbers, and what a notebook gets to show."""

import hashlib
import importlib
import json
import random
import re
import shutil

import pytest
import record_training
import torch
import traitlets
from bs4 import BeautifulSoup
from figures import training as training_figure

from helpers import explorables, mnist, trained
from helpers.explorables import data, training
from helpers.explorables.equivariance import OPERATIONS
from helpers.explorables.explorable import Matrix
from helpers.receptive_field import receptive_field

EVERY_CLASS = [getattr(explorables, name) for name in explorables.__all__]
WIDGET = "application/vnd.jupyter.widget-view+json"


def of_tests(figure_class):
    """tests/figures/NAME.py: states, refusals, and drives of that figure."""
    return importlib.import_module(f"figures.{figure_class.name}")


def flat(value):
    """All numbers of nested lists in reading order, without None, which stands for what is not shown."""
    if isinstance(value, (list, tuple)):
        return [number for part in value for number in flat(part)]
    return [] if value is None else [float(value)]


each_class = pytest.mark.parametrize("figure_class", EVERY_CLASS, ids=explorables.__all__)


@each_class
def test_every_value_that_is_refused_is_named_and_changes_nothing(figure_class):
    for values, message in of_tests(figure_class).REFUSED:
        figure = figure_class()
        before = json.dumps(figure.state)
        with pytest.raises(traitlets.TraitError, match=message), figure.hold_trait_notifications():
            for name, value in values.items():
                setattr(figure, name, value)
        assert json.dumps(figure.state) == before, values
        with pytest.raises(traitlets.TraitError, match=message):
            figure_class(**values)


@each_class
def test_the_numbers_are_those_of_torch(figure_class):
    generator = random.Random(1)
    for _ in range(50):
        figure = figure_class(**of_tests(figure_class).random_state(generator))
        numbers, expected = figure.numbers(), of_tests(figure_class).by_torch(figure)
        assert expected
        for name, value in expected.items():
            assert flat(numbers[name]) == pytest.approx(flat(value), rel=1e-6, abs=1e-9), (name, figure.state)


@each_class
def test_every_state_survives_the_way_into_the_page(figure_class):
    generator = random.Random(2)
    for _ in range(10):
        figure = figure_class(**of_tests(figure_class).random_state(generator))
        element = BeautifulSoup(figure.html(), "html.parser").figure
        state = json.loads(element["data-state"])
        assert json.dumps(figure_class(**state).state) == json.dumps(state) == json.dumps(figure.state)
        assert element["data-explorable"] == figure_class.name
        assert {*element.get("data-needs", "").split(), *element.get("data-later", "").split()} == {*figure_class.needs}


@each_class
def test_a_notebook_gets_the_widget_and_a_fallback_and_git_a_stable_line(figure_class):
    figure = figure_class()
    bundle, metadata = figure._repr_mimebundle_()
    assert bundle[WIDGET]["model_id"] == figure.model_id and metadata == {}
    assert bundle["text/plain"] == repr(figure) == repr(figure_class())
    assert re.fullmatch(r"Explorable: [A-Z].*\.", repr(figure))
    fallback = BeautifulSoup(bundle["text/html"], "html.parser").select_one(".fallback")
    assert fallback.get_text(strip=True) or fallback.img or fallback.svg
    assert fallback.select_one("[role=img]")["aria-label"] == figure.fallback().alt
    assert figure.caption.endswith((".", "?"))
    assert len(json.dumps(figure.state)) < 1000, "what is larger belongs into helpers/explorables/data.py"


@each_class
def test_the_notebook_gets_the_drawing_code_and_the_data(figure_class):
    figure = figure_class()
    assert "const matrix = " in figure._esm and "export default {" in figure._esm and ".explorable" in figure._css
    assert figure.data == {name: data.read(name) for name in figure_class.needs}
    sent = figure.get_state()
    assert set(figure.state) | {"_esm", "_css", "caption", "data"} <= set(sent)


def test_colab_gets_the_metadata_that_it_needs(monkeypatch):
    monkeypatch.setattr("anywidget._util.get_repr_metadata", lambda: {WIDGET: {"colab": "manager"}})
    assert explorables.Convolution()._repr_mimebundle_()[1] == {WIDGET: {"colab": "manager"}}


def test_a_matrix_takes_tensors_and_lists_and_keeps_whole_numbers_whole():
    class Owner(traitlets.HasTraits):
        matrix = Matrix([[1]], largest=3)

    assert Owner().matrix == [[1]] and Owner().matrix is not Owner().matrix
    for given, kept in (
        (torch.tensor([[True, False]]), "[[1, 0]]"),
        (torch.eye(2), "[[1, 0], [0, 1]]"),
        (torch.tensor([[0.5]], dtype=torch.float64, requires_grad=True), "[[0.5]]"),
        (((1.0, 2.5), (-0.0, 4)), "[[1, 2.5], [0, 4]]"),
    ):
        assert str(Owner(matrix=given).matrix) == kept


def test_the_stored_weights_are_those_of_the_trained_networks():
    for name in trained.NAMES:
        stored = torch.frombuffer(bytearray(data.read(f"lenet_{name}")), dtype=torch.float16).float()
        parameters = [parameter.detach().flatten() for parameter in trained.load(name).parameters()]
        assert torch.equal(stored, torch.cat(parameters))


def test_unknown_data_is_named():
    with pytest.raises(ValueError, match="there is no data 'cats' for the figures: there are digits, photograph"):
        data.read("cats")


# Convolution ---------------------------------------------------------------------------------------------------------


def test_the_window_stays_on_a_map_that_shrinks():
    figure = explorables.Convolution(position=(2, 1))
    figure.kernel = [[1] * 5] * 4
    assert figure.position == (1, 0)
    figure.image = torch.eye(7)
    assert figure.position == (1, 0)


@pytest.mark.row("C4")
def test_the_lecture_s_numbers_stand_in_the_figure():
    figure = explorables.Convolution(whole=True)
    assert figure.numbers()["output"] == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    assert "the sum of products is 4" in repr(figure)
    assert "1·1 + 1·0 + 1·1 + 0·0 + 1·1 + 1·0 + 0·1 + 0·0 + 1·1 = 4" in figure.fallback().body


# Pooling -------------------------------------------------------------------------------------------------------------


def test_the_window_stays_in_a_result_that_shrinks():
    figure = explorables.Pooling(position=(1, 1))
    figure.kernel_size = 3
    assert figure.position == (0, 0)


@pytest.mark.row("P1")
@pytest.mark.row("P2")
def test_the_chapter_s_line_stays_in_its_windows_and_then_leaves_them():
    figure = explorables.Pooling(input=[[8, 0, 0, 0, 0, 0]] * 4)
    assert figure.numbers()["output"] == [[8, 0, 0]] * 2
    changed = []
    for figure.right in range(1, 5):
        changed.append(figure.numbers()["output_changed"])
    assert changed == [0, 4, 4, 4] and figure.numbers()["output"] == [[0, 0, 8]] * 2
    assert figure.numbers()["output_change"] == pytest.approx(2**0.5), "no active cell in common"
    figure.input = [[0, 0]] * 2
    assert "output_change" not in figure.numbers(), "a share of nothing"
    assert "Average pooling of a 4 by 4 map with windows of 2 by 2" in repr(explorables.Pooling(mode="average"))
    assert "(1 + 3 + 4 + 2)/4 = 2.5" in explorables.Pooling(mode="average").fallback().body


# Equivariance --------------------------------------------------------------------------------------------------------


@pytest.mark.row("I4")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_map_shifts_with_the_image_by_multiples_of_the_stride(operation):
    figure = explorables.Equivariance(image="photograph", operation=operation)
    stride = OPERATIONS[operation][1]
    for figure.down, figure.right in [(0, 0), (8, -8), (-3, 8), (1, 1), (-2, -7), (4, 6)]:
        numbers, exact = figure.numbers(), figure.down % stride == figure.right % stride == 0
        assert (numbers["inside_differ"] == 0) is (numbers["error"] < 1e-12) is exact, figure.state
        assert numbers["inside"] + numbers.get("border", 0) == len(flat(numbers["moved"]))
        if exact:
            assert numbers["map_shift"] == [figure.down // stride, figure.right // stride]
            overlap = operation != "max pooling, stride 2"  # windows side by side hold zeros only, or none
            assert (numbers.get("border_differ", 0) > 0) is bool(overlap and (figure.down or figure.right)), figure.state


# Sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.row("S1", "S2", "S5", "S7")
def test_the_lecture_s_sizes_stand_in_the_figure():
    places = [explorables.Sizes(stride=stride).numbers()["output_size"] for stride in (1, 2, 3)]
    assert places == [[5, 5], [3, 3], [2, 2]]
    stride_of_three = explorables.Sizes(stride=3)
    assert stride_of_three.numbers()["left_over"] == 1 and stride_of_three.numbers()["never"] == 13
    assert "It does not fit" in repr(stride_of_three) and "It fits" in repr(explorables.Sizes())
    assert "⌊4/3⌋ + 1 = 2" in stride_of_three.fallback().body
    ten_filters = explorables.Sizes(input_size=32, kernel_size=5, padding=2, in_channels=3, out_channels=10).numbers()
    assert (ten_filters["places"], ten_filters["parameters"], ten_filters["multiplications"]) == (32, 760, 10 * 32 * 32 * 75)


def test_the_window_stays_on_an_output_that_shrinks():
    figure = explorables.Sizes(position=(4, 1))
    figure.stride = 3
    assert figure.position == (1, 1)


# ReceptiveField ------------------------------------------------------------------------------------------------------


def test_a_stack_of_torch_becomes_the_figure_s():
    relu = torch.nn.ReLU()
    stack = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, padding=2, dilation=2), relu, torch.nn.MaxPool2d(2), torch.nn.AvgPool2d((3, 3), 1)
    )
    figure = explorables.ReceptiveField(layers=stack, input_size=28)
    sizes = {"stride": 1, "padding": 0, "dilation": 1}
    assert figure.layers == [
        {"kind": "conv", **sizes, "kernel_size": 5, "padding": 2, "dilation": 2},
        {"kind": "pool", **sizes, "kernel_size": 2, "stride": 2},
        {"kind": "pool", **sizes, "kernel_size": 3},
    ]
    field, _ = receptive_field(stack)
    assert figure.numbers()["size"][-1] == field.size and figure.unit == (3, 4)


def test_the_unit_stays_on_a_map():
    figure = explorables.ReceptiveField()
    assert figure.unit == (3, 5)
    figure.layers = [{"kernel_size": 5, "stride": 4}]
    assert figure.unit == (1, 3)


def test_figures_do_not_share_their_layers():
    assert explorables.ReceptiveField().layers[0] is not explorables.ReceptiveField().layers[0]


# LeNet, Invariances -------------------------------------------------------------------------------------------------


def test_the_misread_digits_are_misread_and_one_of_each_kind():
    images, labels = mnist.load("test")
    assert labels[list(data.MISREAD)].tolist() == list(range(10))
    with torch.no_grad():
        answers = trained.load("plain")(images[list(data.MISREAD)]).argmax(1)
    assert (answers != torch.arange(10)).all()


def test_a_drawing_may_be_an_image_of_a_batch():
    images, _ = mnist.load("test")
    figure = explorables.LeNet(image=images[3, 0], network="augmented")
    assert figure.numbers()["answers"][0] == 0 and "reads a drawing as 0" in figure.alt
    figure.image = None
    assert figure.numbers()["answers"][0] == 7


def test_a_figure_can_name_other_sources_which_stand_before_its_own():
    assert explorables.LeNet._esm.index("const dense = ") < explorables.LeNet._esm.index("export default")
    assert "const dense = " not in explorables.Convolution._esm


# Channels ------------------------------------------------------------------------------------------------------------


@pytest.mark.row("C8")
def test_all_numbers_of_the_lecture_s_example_stand_in_the_figure():
    numbers = explorables.Channels(compare=True).numbers()
    assert numbers["output"] == [[[3, 2, 0], [4, 1, 0], [3, 1, 0]], [[6, 1, 1], [3, -1, 7], [0, -3, 0]]]
    assert numbers["slide"][1] == [[7, 2, 2], [4, 0, 8], [1, -2, 1]] and numbers["different"] == [0, 9]
    assert "channels give 0, −2 and 4; with the bias 1 the sum is 3." in repr(explorables.Channels())


def test_what_is_changed_in_one_figure_is_not_changed_in_the_next():
    explorables.Channels().weight[0][0][0][0] = 50
    assert explorables.Channels().weight == explorables.channels.WEIGHT and explorables.Channels().weight[0][0][0][0] == 1


@pytest.mark.row("C8")
def test_only_a_bias_makes_the_slide_s_second_map():
    assert explorables.Channels(compare=True, bias=(1, 1)).numbers()["different"] == [0, 0]
    for place in range(27):
        for value in (-2, 2):
            weight = torch.tensor(explorables.Channels().weight)
            weight[1].view(-1)[place] += value
            assert explorables.Channels(compare=True, weight=weight).numbers()["different"][1] > 0


# Connections ---------------------------------------------------------------------------------------------------------


@pytest.mark.row("C5", "C6")
def test_the_bills_are_those_of_the_chapter():
    numbers = explorables.Connections().numbers()
    assert numbers["connections"] == [35, 15, 15, 14450688, 352800, 352800]
    assert numbers["parameters"] == [40, 20, 4, 14455392, 357504, 456]


def test_the_unit_stays_on_its_side():
    figure = explorables.Connections(dimensions=2, side="input", unit=48)
    figure.dimensions = 1
    assert figure.unit == 6
    figure.side = "output"
    figure.kernel_size, figure.stride = 5, 3
    assert figure.unit == 0 and figure.numbers()["weights"] == [[1, 2, 3, 4, 5, None, None]]


# Training ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validation():
    images, labels = mnist.load("train")
    return images[50_000:], labels[50_000:]


@pytest.mark.row("R3")
def test_the_recorded_weights_read_as_many_digits_as_the_record_says(validation):
    (run,) = (run for run in training_figure.RECORD["runs"] if run["network"] == "linear")
    steps, _, accuracies, _, weights = training.recorded("linear")
    assert steps == training_figure.RECORD["steps"]
    for place, errors in enumerate(run["validation_errors"]):
        assert accuracies[place].item() == pytest.approx(1 - errors / 10_000)
        scores = validation[0].flatten(1).double() @ weights[place].flatten(1).T + torch.tensor(run["biases"][place])
        found = (scores.argmax(1) != validation[1]).sum().item()
        assert abs(found - errors) < 0.03 * errors + 20, "the weights are stored in half a byte each"


@pytest.mark.parametrize("network", ["linear", "cnn"])
def test_the_beginning_of_the_recorded_training_comes_out_again(network):
    steps, losses, _, limits, weights = training.recorded(network)
    again = (0, 20, 40)
    _, snapshots = record_training.watch_training(network, record_training.SEED, again)
    for step, (evaluation, weight, _) in zip(again, snapshots, strict=True):
        place = steps.index(step)
        assert evaluation.loss == pytest.approx(losses[place].item(), rel=0.02)
        # The two largest levels are (7² − 6²) / 7² of the limit apart.
        assert (weight.reshape(weights[place].shape) - weights[place]).abs().max() < 0.15 * limits[place]
        assert weight.abs().max().item() == pytest.approx(limits[place].item(), rel=0.02)


def test_the_recorded_training_is_the_one_that_the_program_describes():
    record = training_figure.RECORD
    settings = json.loads(json.dumps(record_training.SETTINGS | {"networks": record_training.NETWORKS}))
    assert {name: record[name] for name in settings} == settings
    for run in record["runs"]:
        content = (trained.WEIGHTS / f"training_{run['network']}.bin").read_bytes()
        assert hashlib.sha256(content).hexdigest() == run["sha256"] and content == data.read(f"training_{run['network']}")
    assert [run["errors"] < 1000 for run in record["runs"]] == [True, True]
    assert sum(len(data.read(f"training_{run['network']}")) for run in record["runs"]) * 4 / 3 < 120_000, "in base64"


def test_a_damaged_recording_is_noticed(monkeypatch, tmp_path):
    folder = shutil.copytree(trained.WEIGHTS, tmp_path / "weights")
    monkeypatch.setattr(trained, "WEIGHTS", folder)
    content = bytearray((folder / "training_cnn.bin").read_bytes())
    content[-1] ^= 1
    (folder / "training_cnn.bin").write_bytes(content)
    with pytest.raises(RuntimeError, match="training_cnn.bin is damaged"):
        data.FILES["training_cnn"]()


def test_a_training_stops_at_the_last_step_that_is_recorded(monkeypatch):
    monkeypatch.setitem(record_training.SETTINGS, "train_images", 200)
    monkeypatch.setitem(record_training.SETTINGS, "epochs", 2)
    _, snapshots = record_training.watch_training("linear", 0, (0, 1, 3))
    assert len(snapshots) == 3
    with pytest.raises(ValueError, match="4 steps were made, fewer than the last to record, 5"):
        record_training.watch_training("linear", 0, (0, 5))
