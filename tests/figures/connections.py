"""What the tests of helpers.explorables.Connections need: states, refusals, the same by torch, and how readers move it."""

import torch
from figures.convolution import get, shown
from torch import nn

REFUSED = [
    ({"layer": "pooling"}, "layer"),
    ({"dimensions": 3}, "dimensions"),
    ({"dimensions": 1.5}, "dimensions"),
    ({"stride": True}, "bool True"),
    ({"input_size": 8}, "input_size"),
    ({"kernel_size": 6}, "kernel_size"),
    ({"input_size": 4, "kernel_size": 5}, "a kernel of 5 does not fit into 4 inputs"),
    ({"stride": 0}, "stride"),
    ({"unit": 5}, "there are outputs 0 to 4, got unit 5"),
    ({"side": "input", "unit": 7}, "there are inputs 0 to 6, got unit 7"),
    ({"unit": -1}, "unit"),
    ({"side": "middle"}, "side"),
]


def random_state(generator):
    kernel_size, stride, dimensions = generator.randint(1, 5), generator.randint(1, 3), generator.randint(1, 2)
    input_size, side = generator.randint(max(3, kernel_size), 7), generator.choice(["input", "output"])
    length = input_size if side == "input" else (input_size - kernel_size) // stride + 1
    return {
        "layer": generator.choice(["dense", "sparse", "convolution"]),
        "dimensions": dimensions,
        "input_size": input_size,
        "kernel_size": kernel_size,
        "stride": stride,
        "side": side,
        "unit": generator.randint(0, length**dimensions - 1),
    }


def by_torch(figure):
    """Which units are connected, by the gradient of a convolution whose weights are all one."""
    layer = (nn.Conv1d if figure.dimensions == 1 else nn.Conv2d)(1, 1, figure.kernel_size, figure.stride)
    nn.init.ones_(layer.weight)
    image = torch.zeros(1, 1, *[figure.input_size] * figure.dimensions)
    joined = torch.autograd.functional.jacobian(layer, image).reshape(layer(image).numel(), -1)
    dense = nn.Linear(*joined.T.shape)
    if figure.layer == "dense":
        joined = dense.weight.new_ones(joined.shape)
    units = joined if figure.side == "output" else joined.T
    return {
        "used": units[figure.unit].sum().item(),
        "of": units.shape[1],
        "parameters": [
            dense.weight.numel() + dense.bias.numel(),
            layer(image).numel() * (layer.weight.numel() + 1),
            layer.weight.numel() + 1,
            3072 * 4704 + 4704, 4704 * 76, 456,
        ],
    }  # fmt: skip


def by_mouse(page, figure):
    outputs, inputs = (figure.get_by_role("grid", name=name) for name in ("outputs", "inputs"))
    outputs.get_by_label("output 0").click()
    assert shown(figure, "weights") == [1, 2, 3] and shown(figure, "used") == [3]
    outputs.get_by_label("output 4").click()
    assert shown(figure, "weights") == [1, 2, 3], "the weights are shared"
    inputs.get_by_label("input 2").click()
    assert get(figure, "side") == "input" and get(figure, "unit") == 2 and shown(figure, "weights") == [3, 2, 1]
    figure.locator("label", has_text="not shared").click()
    assert shown(figure, "weights") == [3, 5, 7] and shown(figure, "parameters")[:3] == [40, 20, 4]
    figure.locator("label", has_text="in a square").click()
    assert shown(figure, "of") == [25]
    figure.locator("label", has_text="dense").click()
    assert shown(figure, "used") == [25]


def by_keyboard(page, figure):
    press = page.keyboard.press
    figure.get_by_role("grid", name="outputs").locator("[tabindex='0']").focus()
    press("ArrowRight")
    assert get(figure, "unit") == 3 and shown(figure, "used") == [3]
    figure.get_by_role("grid", name="inputs").locator("[tabindex='0']").focus()
    press("ArrowLeft")
    assert get(figure, "side") == "input"
    figure.get_by_label("Kernel size", exact=True).focus()
    press("ArrowUp")
    press("ArrowUp")
    assert get(figure, "kernel_size") == 5 and shown(figure, "parameters")[2] == 6
    page.wait_for_function("document.querySelector('.spoken').textContent.includes('by 1 of 3 outputs')")
    figure.get_by_label("Inputs", exact=True).fill("4")
    press("Enter")
    assert get(figure, "input_size") == 7
    assert "A kernel of 5 does not fit into 4 inputs" in " ".join(figure.get_by_role("alert").all_inner_texts())
    figure.get_by_label("Stride", exact=True).focus()
    press("ArrowUp")
    assert get(figure, "stride") == 2 and figure.get_by_role("grid", name="outputs").get_by_role("gridcell").count() == 2
