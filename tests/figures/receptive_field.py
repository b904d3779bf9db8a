"""What the tests of helpers.explorables.ReceptiveField need: states, refusals, the same by torch, and how readers move it."""

import torch
from torch import nn

REFUSED = [
    ({"layers": []}, "the figure draws 1 to 6 layers that have windows, got 0"),
    ({"layers": [nn.Conv2d(1, 1, 1)] * 7}, "the figure draws 1 to 6 layers that have windows, got 7"),
    ({"layers": 3}, "layers must be a list of layers or an nn.Sequential, got 3"),
    ({"layers": [nn.Linear(1, 1)]}, "a layer is a Conv2d, MaxPool2d or AvgPool2d, or a dict"),
    ({"layers": [{"kind": ["conv"]}]}, "a layer is a Conv2d, MaxPool2d or AvgPool2d, or a dict"),
    ({"layers": [{"stride": True}]}, "stride must be one integer from 1 to 4, got True"),
    ({"layers": [nn.MaxPool2d(2, ceil_mode=True)]}, "rounds sizes down, so ceil_mode must be False"),
    ({"layers": [{"kind": "dense"}]}, "a layer is a Conv2d, MaxPool2d or AvgPool2d, or a dict"),
    ({"layers": [{"size": 3}]}, "a layer is a Conv2d, MaxPool2d or AvgPool2d, or a dict"),
    ({"layers": [nn.Conv2d(1, 1, (3, 5))]}, r"kernel_size must be one integer from 1 to 7, got \(3, 5\)"),
    ({"layers": [nn.Conv2d(1, 1, 3, padding="same")]}, "padding must be one integer from 0 to 6, got 'same'"),
    ({"layers": [{"stride": 5}]}, "stride must be one integer from 1 to 4, got 5"),
    ({"layers": [{"kind": "pool", "kernel_size": 2, "padding": 2}]}, "at most half of its window, got 2 for 2"),
    ({"layers": [{"kernel_size": 7}] * 3}, "layer 3: the kernel covers 7 cells but the padded input has only 5"),
    ({"input_size": 6}, "layer 3: the kernel covers 3 cells but the padded input has only 2"),
    ({"input_size": 65}, "input_size"),
    ({"unit": (4, 0)}, r"there are maps 0 \(the input\) to 3, got unit \(4, 0\)"),
    ({"unit": (3, 11)}, r"map 3 has units 0 to 10, got unit \(3, 11\)"),
    ({"unit": (0, -1)}, r"map 0 has units 0 to 16, got unit \(0, -1\)"),
]


def random_layer(generator):
    kind, kernel_size = generator.choice(["conv", "conv", "pool"]), generator.randint(1, 7)
    return {
        "kind": kind,
        "kernel_size": kernel_size,
        "stride": generator.randint(1, generator.choice([1, 2, 4])),
        "padding": generator.randint(0, kernel_size // 2 if kind == "pool" else generator.choice([0, 2, 6])),
        "dilation": generator.randint(1, generator.choice([1, 1, 8])),
    }


def torch_layers(layers):
    def make(kind, **settings):
        return nn.Conv2d(1, 1, **settings) if kind == "conv" else nn.MaxPool2d(**settings)

    return nn.Sequential(*(make(**layer) for layer in layers))


def map_sizes(layers, input_size):
    maps = [torch.zeros(1, 1, input_size, input_size)]
    for layer in torch_layers(layers):
        maps.append(layer(maps[-1]))
    return [values.shape[3] for values in maps]


def random_state(generator):
    while True:
        layers = [random_layer(generator) for _ in range(generator.randint(1, 6))]
        input_size = generator.randint(1, 64)
        try:
            sizes = map_sizes(layers, input_size)
        except RuntimeError:  # they do not fit on each other
            continue
        depth = generator.randint(0, len(layers))
        return {"layers": layers, "input_size": input_size, "unit": [depth, generator.randint(0, sizes[depth] - 1)]}


def by_torch(figure):
    """Which pixels change the unit, by trying each; the maps' sizes, by running the layers."""
    depth, place = figure.unit
    line = torch.eye(figure.input_size, dtype=torch.float64)[:, None]  # one bright pixel in each
    for layer in figure.layers[:depth]:
        settings = {name: layer[name] for name in ("stride", "padding", "dilation")}
        line = nn.functional.conv1d(line, torch.ones(1, 1, layer["kernel_size"], dtype=torch.float64), **settings)
    return {"map_size": map_sizes(figure.layers, figure.input_size)[::-1], "seen": int((line[:, 0, place] != 0).sum()) ** 2}


def get(figure, trait):
    return figure.evaluate("(figure, trait) => figure.model.get(trait)", trait)


def shown(figure, name):
    script = "(f, name) => [...f.querySelectorAll(`[data-value=${name}]`)].map(e => Number(e.dataset.number))"
    return figure.evaluate(script, name)


def by_mouse(page, figure):
    def click(name):
        figure.get_by_role("button", name=name).click()

    assert shown(figure, "size") == [1, 3, 5, 7]
    assert shown(figure, "parameters") == [30] and shown(figure, "parameters_of_one") == [50]
    click("13 wide")
    assert get(figure, "unit") == [2, 6], "the unit in the same place of another map"
    click("Stride: more")
    assert shown(figure, "size") == [1, 3, 5, 9] and shown(figure, "step") == [1, 1, 2, 2]
    assert figure.get_by_label("Stack", exact=True).input_value() == "own"

    box = figure.get_by_role("slider").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 34)  # the last map, on top
    page.mouse.down()
    assert get(figure, "unit") == [3, 2] and shown(figure, "pixels") == [4, 12]
    page.mouse.move(box["x"] + 2, box["y"] + 44, steps=3)
    assert get(figure, "unit") == [3, 0] and shown(figure, "pixels") == [0, 8]
    page.mouse.up()

    click("Add a layer above")
    assert get(figure, "unit") == [4, 0] and shown(figure, "size")[-1] == 13
    figure.get_by_role("radio", name="pooling").check()
    click("Window: more")
    assert "Layer 4 would need 4 cells" not in figure.inner_text() and get(figure, "layers")[3]["kernel_size"] == 4
    click("Window: more")
    click("Window: more")
    assert "Layer 4 would need 6 cells, there are only 5." in figure.inner_text()
    assert get(figure, "layers")[3]["kernel_size"] == 5
    click("Remove this layer")
    assert len(get(figure, "layers")) == 3 and get(figure, "unit")[0] == 3
    for _ in range(3):
        click("Remove this layer")
    assert len(get(figure, "layers")) == 1 and "One layer has to stay." in figure.inner_text()

    figure.get_by_label("Stack", exact=True).select_option("the same, with dilation 1, 2, 4")
    assert shown(figure, "size") == [1, 3, 7, 15] and get(figure, "unit")[0] == 3


def by_keyboard(page, figure):
    cut = figure.get_by_role("slider")
    cut.focus()
    page.keyboard.press("ArrowLeft")
    assert get(figure, "unit") == [3, 4] and shown(figure, "pixels") == [4, 10]
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    assert get(figure, "unit") == [0, 7]
    assert cut.get_attribute("aria-valuetext") == "Unit 7 of map 0 sees 1 by 1 pixels, from 7 to 7."
    assert not figure.get_by_label("Stride", exact=True).is_visible(), "the input has no settings"
    page.keyboard.press("ArrowUp")
    figure.get_by_label("Dilation", exact=True).focus()
    page.keyboard.press("ArrowUp")
    assert get(figure, "layers")[0]["dilation"] == 2 and shown(figure, "area") == [25] and shown(figure, "seen") == [9]
    assert "the others are skipped" in figure.inner_text()
    figure.get_by_label("Input", exact=True).fill("8")
    page.keyboard.press("Enter")
    assert get(figure, "input_size") == 17 and "Layer 3 would need 3 cells, there are only 2." in figure.inner_text()
    figure.get_by_role("button", name="17 wide").focus()
    page.keyboard.press("Enter")
    assert get(figure, "unit")[0] == 0 and page.evaluate("document.activeElement.innerText").startswith("input")
