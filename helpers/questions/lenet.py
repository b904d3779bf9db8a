"""The questions of chapter 5, LeNet."""

from torch import nn

from helpers.architecture import build, expand
from helpers.lenet import LeNet, LeNet5
from helpers.questions import Choices, Number, Right, Wrong
from helpers.receptive_field import receptive_field
from helpers.sizes import parameter_count

third_layer = Number(
    "The third layer of LeNet-5, C3, has 16 filters of 5×5. Six of them see 3 of the maps before, nine see 4, and one "
    "sees all 6; each has a bias. How many parameters?",
    answer=parameter_count(LeNet5().layers.c3),
    right="6·(3·25 + 1) + 9·(4·25 + 1) + 1·(6·25 + 1).",
    wrong={
        2416: "That is 16·(6·25 + 1): every filter seeing all six maps, as it is written today.",
        1500: "These are the weights, 60 kernels of 25. Each of the 16 filters has a bias too.",
        1560: "You gave each kernel a bias. A filter has one bias, however many maps it sees.",
        416: "That is 16·(25 + 1), one kernel a filter. A filter has a kernel for each map it sees.",
        151600: "That is the number of connections: every parameter is used at 10×10 places, and counts once.",
    },
    other="Take one kind of filter at a time: maps seen × 25 weights + 1 bias, times how many such filters.",
)
most_parameters = Choices(
    "Where are most of the 60,000 parameters of LeNet-5?",
    Wrong(
        "C1",
        "It works on the largest image, but that makes larger maps, not more weights: the same 6·(25 + 1) numbers are "
        "used everywhere.",
    ),
    Wrong("C3", "Its connections are the most elaborate, but its 60 kernels of 25 weights are few."),
    Right(
        "C5",
        "120·(16·25 + 1). A kernel as large as the map has one place only, so nothing is shared: it is a dense layer.",
    ),
    Wrong("F6", "It is dense, but 84·(120 + 1) = 10,164 is only a sixth of all. Which layer has 400 inputs a unit?"),
    Wrong("Evenly over the layers", "Shared layers are cheap and dense ones are not; compare 156 with 120·401."),
)
first_connections = Number(
    "C1 has 6 filters of 5×5, each with a bias, and its maps are 28×28. How many connections has it, that is, how often "
    "is a weight or a bias used for one image?",
    answer=parameter_count(LeNet5().layers.c1) * 28 * 28,
    right="28·28 places, and at each of them all 6·(25 + 1) = 156 parameters are used once.",
    wrong={
        156: "These are the parameters. Each is used at every place of the map.",
        117600: "That is 28·28·6·25: the biases are used, too.",
        20384: "That is 28·28·26, for one of the six filters.",
        4704: "That is 28·28·6, the number of outputs; each of them uses 25 weights and a bias.",
        159744: "That is 32·32 places, the size of the framed input. The map has 28·28.",
    },
    other="Multiply the places of a map by the parameters that are used at one place.",
)
error_counts = Choices(
    "Two networks are trained once each. One makes 100 errors on the 10,000 test images, the other 110. "
    "What does that say?",
    Wrong(
        "The first is better, by ten percent",
        "On these images, trained once. Another random start, or another 10,000 digits, may well reverse the order.",
    ),
    Wrong(
        "Nothing ever, since training is random",
        "Chance has a size, and it can be measured: train with several seeds, and compare the difference with "
        "the spread.",
    ),
    Right(
        "Little: counts near 100 scatter by about √100 = 10 between test sets of this size",
        "And the random start adds its own scatter. It takes several seeds, or a larger difference, to tell.",
    ),
)
second_guess = Number(
    "A network's first guess is wrong for 100 of 10,000 images. For 9,990 images the right answer is among its first "
    "two guesses. In how many of the 100 errors is the second guess right?",
    answer=9990 - (10_000 - 100),
    right="9,900 first guesses are right; the other 90 of the 9,990 images owe it to the second guess.",
    wrong={
        9990: "That counts the images whose first guess is right, too.",
        99.9: "That share is of all images, and for most of them the first guess is right already.",
        10: "For these images neither guess is right.",
        100: "Then all 10,000 images would have the right answer among the first two.",
    },
    other="Take away from the 9,990 those images whose first guess is right.",
)
pooled_sight = Number(
    "Choose the cells of pool2 in the figure above, one after the other. How many pixels of the image, from side to "
    "side, can a cell in the middle of the map see?",
    answer=receptive_field(LeNet().layers[:6])[0].size,
    right="conv1 sees 5, the first pooling 6, conv2 14, and the second pooling 16: more than half of the image each way. "
    "At the border of the map a part of the 16 lies in the padding, so the frame is smaller there.",
    wrong={
        5: "That is what a cell of conv1 sees, and also the number of cells of a map behind the second pooling.",
        6: "That is what a cell behind the first pooling sees.",
        10: "That is 5 + 5, as if the two filters met the same pixels. Behind a pooling, neighbours lie 2 pixels apart.",
        14: "Either you chose a cell of conv2, or one at the border of the map, where a part of what the cell sees is padding.",
        28: "That is the whole image: the dense layers see it, a cell of a map does not.",
    },
    other="Count the pixels that the frame on the image is wide, for a cell that is not at the border of its map.",
)
pattern_layers = Number(
    "INPUT -> [[CONV -> RELU]*2 -> POOL]*3 -> [FC -> RELU]*1 -> FC: how many layers with parameters has this network?",
    answer=sum(
        word in ("CONV", "FC") for word, _ in expand("INPUT -> [[CONV -> RELU]*2 -> POOL]*3 -> [FC -> RELU]*1 -> FC")
    ),
    right="2·3 convolutions and 1 + 1 dense layers. ReLU and pooling have none.",
    wrong={
        7: "Either the last FC is missing, or you added 2 + 3: the repetitions multiply.",
        3: "You counted every word once; the brackets repeat the CONV.",
        4: "You repeated the inner bracket only; the outer *3 repeats it three times.",
        5: "You repeated the outer bracket only; inside it *2 makes two convolutions of one.",
        6: "These are the convolutions. A dense layer has parameters, too.",
        11: "You counted the POOLs too; they have no parameters.",
        18: "You counted every layer. ReLU and POOL have no parameters.",
    },
    other="Write out the brackets, then count the CONVs and the FCs.",
)
row_length = Number(
    "A 32×32 image goes through [[CONV -> RELU]*2 -> POOL]*3, the last CONV with 64 channels. How many numbers enter "
    "the first FC?",
    answer=build(
        "INPUT -> [[CONV -> RELU]*2 -> POOL]*3 -> FC", input_shape=(3, 32, 32), channels=(16, 16, 32, 32, 64, 64)
    )[-1].in_features,
    right="The convolutions keep 32×32, three POOLs halve it to 4×4, and 64 maps of 4×4 make the row.",
    wrong={
        256: "That is 64·2·2: one halving too many. 32, 16, 8, 4: three POOLs.",
        4096: "That is 64·8·8, after two POOLs; there are three.",
        64: "That is the number of maps. Each still has 4×4 places.",
        16: "These are the 4×4 places of one map; there are 64 maps.",
        65536: "That is 64·32·32: the convolutions keep the size, but each POOL halves it.",
    },
    other="Halve 32 once for every POOL, square it, and multiply by the number of maps.",
)
stack_field = Number(
    "Three 3×3 convolutions stand on one another, with stride 1. How many rows of the input does one output "
    "cell depend on?",
    answer=receptive_field([nn.Conv2d(1, 1, 3) for _ in range(3)])[0].size,
    right="3, then 5, then 7: every layer adds one cell on either side.",
    wrong={
        9: "3·3 would need windows that lie side by side. Neighbouring windows overlap.",
        3: "That is what the last layer sees of the layer before it. Follow it down to the input.",
        27: "The kernels overlap, so their widths do not multiply.",
        5: "That is two layers; the third adds one cell on either side.",
    },
    other="Begin at one cell of the last map: it sees 3 rows of the map below. What do those three see together?",
)
third_pool = Choices(
    "The pattern INPUT -> [CONV -> RELU -> POOL]*3 -> FC -> RELU -> FC has three convolutions and two dense layers. "
    "Why does `build` refuse it for a 28×28 digit?",
    Wrong(
        "Three convolutions are too many for so small an image",
        "With padding a convolution keeps the size; there could be thirty.",
    ),
    Right(
        "The third POOL would get 7×7 maps, and 7 cannot be halved",
        "28, 14, 7. PyTorch would round down to 3 and never look at the last row and column; `build` rather says so.",
    ),
    Wrong(
        "The dense layers need the number of inputs, and nobody gave it",
        "`build` computes it from the shape walk, as long as the walk comes out even.",
    ),
)
