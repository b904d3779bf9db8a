"""What the tests of helpers.explorables.Sizes need: states, refusals, the same by torch, and how readers move it."""

import torch
from torch import nn

REFUSED = [
    ({"kernel_size": 8}, "the kernel covers 8 cells but the padded input has only 7"),
    ({"dilation": 4}, "the kernel covers 9 cells but the padded input has only 7"),
    ({"input_size": 2}, "the kernel covers 3 cells but the padded input has only 2"),
    ({"input_size": 0}, "input_size"),
    ({"stride": 9}, "stride"),
    ({"padding": -1}, "padding"),
    ({"padding": True}, "'padding' trait .* not the bool True"),
    ({"kernel_size": (3, 3)}, "kernel_size"),
    ({"out_channels": 0}, "out_channels"),
    ({"position": (0, 5)}, r"the output has rows and columns 0 to 4, got position \(0, 5\)"),
    ({"stride": 3, "position": (2, 0)}, r"rows and columns 0 to 1, got position \(2, 0\)"),
]


def random_state(generator):
    while True:
        state = {
            "input_size": generator.randint(1, generator.choice([9, 32])),
            "kernel_size": generator.randint(1, generator.choice([3, 11])),
            "stride": generator.randint(1, generator.choice([3, 8])),
            "padding": generator.randint(0, 5),
            "dilation": generator.randint(1, generator.choice([1, 5])),
        }
        room = state["input_size"] + 2 * state["padding"] - state["dilation"] * (state["kernel_size"] - 1) - 1
        if room >= 0:
            last = room // state["stride"]
            return state | {
                "position": [generator.randint(0, last), generator.randint(0, last)],
                "in_channels": generator.choice([1, 3, 16, 512]),
                "out_channels": generator.choice([1, 10, 96]),
            }


def layer_of(figure):
    settings = {name: getattr(figure, name) for name in ("kernel_size", "stride", "padding", "dilation")}
    return nn.Conv2d(figure.in_channels, figure.out_channels, **settings)


def by_torch(figure):
    layer = layer_of(figure)
    output = layer(torch.rand(1, figure.in_channels, figure.input_size, figure.input_size))
    return {
        "output_size": list(output.shape[2:]),
        "parameters": sum(parameter.numel() for parameter in layer.parameters()),
        "multiplications": output.numel() * layer.weight[0].numel(),
    }


def get(figure, trait):
    return figure.evaluate("(figure, trait) => figure.model.get(trait)", trait)


def shown(figure, name):
    script = "(f, name) => [...f.querySelectorAll(`[data-value=${name}]`)].map(e => Number(e.dataset.number))"
    return figure.evaluate(script, name)


def pieces(figure):
    return figure.locator(".ruler span").all_inner_texts()


def by_mouse(page, figure):
    def more(name, way="more"):
        figure.get_by_role("button", name=f"{name}: {way}").click()

    def less(name):
        more(name, "less")

    assert shown(figure, "output_size") == [5, 5] and pieces(figure) == ["3", "1", "1", "1", "1"]
    more("Stride")
    assert shown(figure, "output_size") == [3, 3] and "it fits" in figure.inner_text()
    more("Stride")  # the lecture's stride of 3 on 7×7
    assert shown(figure, "places") == [2] and shown(figure, "never") == [13] and pieces(figure) == ["3", "3", "1"]
    assert "it does not fit. 4/3 is not a whole number" in figure.inner_text()
    more("Padding")
    assert shown(figure, "output_size") == [3, 3] and shown(figure, "left_over") == [0] and shown(figure, "never") == [0]

    box = figure.get_by_role("img", name="input, 7×7, padded to 9×9").bounding_box()
    cell = box["width"] / 9
    page.mouse.move(box["x"] + 4.5 * cell, box["y"] + 8.5 * cell)
    page.mouse.down()
    assert get(figure, "position") == [2, 1]
    page.mouse.move(box["x"] + 8.5 * cell, box["y"] + 1.5 * cell, steps=4)  # the window is taken along
    page.mouse.up()
    assert get(figure, "position") == [0, 2] and shown(figure, "rows") == [-1, 1] and shown(figure, "columns") == [5, 7]
    box = figure.get_by_role("slider").locator("svg").bounding_box()
    page.mouse.click(box["x"] + 3, box["y"] + box["height"] - 3)
    assert get(figure, "position") == [2, 0]

    less("Padding")
    assert get(figure, "position") == [1, 0], "the window stays on an output that shrinks"
    for _ in range(3):
        more("Dilation")
    assert get(figure, "dilation") == 3
    assert "The kernel would span 9 cells, the padded input has only 7." in figure.inner_text()

    figure.get_by_role("button", name="First").click()
    figure.get_by_role("button", name="Next").click()
    assert get(figure, "position") == [0, 0], "with dilation 3 there is one place"
    less("Dilation")
    less("Dilation")
    figure.get_by_role("button", name="Play").click()
    page.wait_for_function("f => String(f.model.get('position')) === '1,1'", arg=figure.element_handle())
    more("Filters")
    assert shown(figure, "parameters") == [20] and shown(figure, "multiplications") == [72]


def by_keyboard(page, figure):
    def fill(name, text):
        figure.get_by_label(name, exact=True).fill(text)
        page.keyboard.press("Enter")

    # The lecture's example: 32×32×3, ten filters of 5×5, stride 1, padding 2.
    for name, text in (("Input", "32"), ("Kernel", "5"), ("Padding", "2"), ("Channels of the input", "3"), ("Filters", "10")):
        fill(name, text)
    assert shown(figure, "output_size") == [32, 32] and shown(figure, "parameters") == [760]
    assert figure.locator("[data-value=multiplications]").inner_text() == "768,000"
    fill("Stride", "0")
    assert get(figure, "stride") == 1 and "Stride goes from 1 to 8." in figure.inner_text()
    figure.get_by_label("Stride", exact=True).focus()
    page.keyboard.press("ArrowUp")
    assert get(figure, "stride") == 2 and shown(figure, "left_over") == [1] and shown(figure, "never") == [0]

    output = figure.get_by_role("slider")
    output.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert get(figure, "position") == [0, 1]
    spoken = "Output of 16 by 16. Row 0, column 1: the window spans rows −2 to 2, columns 0 to 4."
    assert output.get_attribute("aria-valuetext") == spoken
