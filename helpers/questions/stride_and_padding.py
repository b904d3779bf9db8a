"""The questions of chapter 3, stride and padding."""

from torch import nn

from helpers.questions import Choices, Number, Right, Wrong
from helpers.receptive_field import receptive_field
from helpers.sizes import output_size, parameter_count

stride_of_two = Number(
    "A 7×7 input, a 3×3 kernel, stride 2: how many numbers are in one row of the output?",
    answer=output_size(7, 3, stride=2),
    right="The window starts in columns 0, 2 and 4; there its last cell is column 6, the last one.",
    wrong={
        2: "You counted the steps. The place where the window starts counts as well.",
        4: "That is 7/2, rounded up. Column 6 would be a start, too, but a window that starts there has only one column left.",
        5: "That is stride 1. With stride 2, the window leaves out every second start.",
        9: "That is the whole output, 3×3. The question is about one row.",
    },
    other="Write down the columns in which the window can start, and stop when its last column would be outside.",
)

does_not_fit = Choices(
    "The third window of a row sticks out by two columns. What does `nn.Conv2d(1, 1, 3, stride=3)` do on a 7×7 input?",
    Wrong("It raises an error", "The lecture treats it like one. PyTorch only refuses a kernel that does not fit even once."),
    Wrong(
        "It adds zeros on the right until the window fits",
        "Zeros come in only if you ask for `padding`. Rounding up exists, but for pooling: `ceil_mode=True`, in chapter 4.",
    ),
    Right(
        "It leaves that window out",
        "The output is 2×2, and nothing is said about the cells that no window has read.",
    ),
    Wrong(
        "It moves the last window back by two columns",
        "Then two windows would be only one cell apart, and the output would no longer be an evenly spaced map.",
    ),
)

skipped_by_one_by_one = Number(
    "A 1×1 kernel with stride 2 runs over a 28×28 image. How many of the 784 pixels does it read?",
    answer=output_size(28, 1, stride=2) ** 2,
    right="It reads 14 of 28 rows and 14 of 28 columns, so a quarter of the pixels. The other three quarters change nothing.",
    wrong={
        784: "Windows overlap, or touch, only if the kernel is at least as large as the stride. This kernel is smaller.",
        392: "Half of the rows and half of the columns: that is a quarter, not half.",
        14: "That is one row of the output. There are as many rows as columns.",
    },
    other="Every window is a single pixel, so count the windows: `output_size(28, 1, stride=2)` of them in each direction.",
)

fits_and_skips = Number(
    "In the figure, take an input of 11, a kernel of 3, stride 4, padding 0. It fits. How many of the 121 pixels does no window read?",
    answer=11**2 - (3 * output_size(11, 3, stride=4)) ** 2,
    right="Nothing is left over at the end, but a stride larger than the kernel leaves out rows 3 and 7, and columns 3 and 7.",
    wrong={
        0: "“Fits” speaks of the end only: nothing is left over there. Look between the windows.",
        2: "Two columns, yes; but a column has 11 pixels, and two rows are left out as well.",
        22: "Those are the pixels of two columns. Two rows are left out as well.",
        44: "You counted the four pixels twice in which a row and a column cross that are both left out.",
        81: "That is how many are read: nine windows of nine pixels.",
    },
    other="Set “Input” to 11 and “Stride” to 4, and count the crosses.",
)

same_size = Choices(
    "A 7×7 input, a 5×5 kernel, stride 1. How many cells of zeros on each side keep the output at 7×7?",
    Wrong("1", "That keeps the size for a 3×3 kernel. A 5×5 kernel loses 5 − 1 = 4 cells, so two on each side are missing."),
    Right("2", "The kernel loses 5 − 1 = 4 cells, half of them on each side."),
    Wrong("4", "All that is lost is 4 cells, for both sides together. With 4 on each side the output would be 11×11."),
    Wrong("5", "That is the size of the kernel. It loses one cell less than its size, and the padding comes in twice."),
)

corner_of_white = Choices(
    "An image of ones is averaged with a 3×3 kernel (weights 1/9), padded by one cell of zeros. What comes out in the corner?",
    Wrong("1", "That is what the average gives in the middle, where all nine cells are ones. At the corner some are padding."),
    Wrong("6/9", "That is the value at a side, where three of nine cells are padding. In a corner, more are."),
    Right("4/9", "Five of the nine cells under the kernel are padding, and they count as black."),
    Wrong("0", "Only the padding is 0. Four cells under the kernel are pixels of the image."),
)

layers_that_fit = Number(
    "A 32×32 image goes through 5×5 convolutions, one after the other, without padding. How many fit before it is too small?",
    answer=next(n for n in range(1, 32) if 32 - 4 * n < 5),
    right="Each takes away 4 cells: 28, 24, 20, 16, 12, 8, 4. A 5×5 kernel does not fit into 4×4.",
    wrong={
        6: "Then 8×8 is left, and a 5×5 kernel fits once more.",
        8: "You divided 32 by 4. The eighth layer would find 4×4 cells, too few for its kernel.",
        14: "You took away 2 cells a layer. A 5×5 kernel takes 2 at each of both ends, 4 in all.",
        16: "You took away 2 cells a layer, and went on down to 0. A 5×5 kernel takes 2 at each of both ends, 4 in all.",
    },
    other="Each layer makes the side 4 cells smaller. Go on until a kernel of 5 does not fit.",
)

shape_of_ten_filters = Choices(
    "A 32×32×3 image (in the lecture's order), ten 5×5 filters, stride 1, padding 2. What is the shape of the output?",
    Wrong("28×28×10", "That is without padding. The two cells on each side make up for the four that a 5×5 kernel loses."),
    Wrong("36×36×10", "You added the padding and did not take off what the kernel loses. It is 32 + 2·2 − 5 + 1 = 32."),
    Wrong("32×32×30", "That would be a map for each filter and each channel. A filter adds up over the channels, and gives one map."),
    Right("32×32×10", "(32 + 2·2 − 5)/1 + 1 = 32 in both directions, and one map for each filter."),
)

parameters_of_ten_filters = Number(
    "How many parameters does that layer have?",
    answer=parameter_count(nn.Conv2d(3, 10, 5, padding=2)),
    right="One filter has 5·5·3 = 75 weights and one bias, 76 in all, and there are ten of them.",
    wrong={
        750: "Those are the weights. Each filter also has a bias.",
        76: "That is one filter. There are ten.",
        260: "That is ten filters of 5·5 weights and a bias. The image has three channels, and a filter has a kernel for each.",
        780: "You gave each kernel a bias. There is one for a filter, added after the sum over its three kernels.",
        250: "Two things are missing: the filter spans three channels, and each filter has a bias.",
        10240: "That is how many numbers come out. They all share the same filters.",
    },
    other="Count the weights of one filter (its kernels span all three channels), add its bias, and multiply by the number of filters.",
)


def _ten_filters(kernel_size=5, stride=1, padding=2):
    """Parameters and multiplications of the lecture's layer, on 32×32×3, with another setting."""
    weights = nn.Conv2d(3, 10, kernel_size).weight.numel()
    return weights + 10, output_size(32, kernel_size, stride, padding) ** 2 * weights


a_quarter_of_the_work = Choices(
    "One change to that layer leaves all its parameters and takes away three quarters of the multiplications. Which?",
    Wrong(
        "padding 0",
        "The map gets a little smaller, 28×28: {:,} multiplications are left of {:,}.".format(_ten_filters(padding=0)[1], _ten_filters()[1]),
    ),
    Wrong(
        "a kernel of 3",
        "With the padding of 2 that leaves {1:,} multiplications, and only {0} parameters.".format(*_ten_filters(kernel_size=3)),
    ),
    Right(
        "stride 2",
        "Half as many places along each side, so a quarter of the places: {1:,} multiplications, and still {0} parameters.".format(
            *_ten_filters(stride=2)
        ),
    ),
    Wrong("an input of 8×8", "That is a quarter of each side, so a sixteenth of the places."),
)

halving = Choices(
    "A 28×28 map, a 3×3 kernel, stride 2. Which padding gives 14×14?",
    Wrong("0", "That gives 13: (28 − 3)/2 = 12.5, rounded down to 12 steps, and the first place."),
    Right("1", "(28 + 2 − 3)/2 = 13.5, so 13 steps and the first place. One row and one column are left over at the end, both of padding."),
    Wrong("2", "That gives 15: (28 + 4 − 3)/2 = 14.5, so 14 steps and the first place."),
    Wrong(
        "There is none: it never fits exactly",
        "28 + 2p − 3 is odd for every p, so by the lecture's rule it never fits. PyTorch rounds down: with padding 1, 13.5 becomes 13 steps, and 14 places.",
    ),
)

spread_kernel = Number(
    "A kernel of 3 cells with dilation 4: how many cells does it span, from the first that it reads to the last, both counted?",
    answer=receptive_field(nn.Conv2d(1, 1, 3, dilation=4))[0].size,
    right="From the first cell to the second it is 4, to the third 8, and the first one counts: 4·(3 − 1) + 1.",
    wrong={
        12: "That is 3·4. There are three cells, but only two distances between them.",
        8: "That is the distance from the first to the last. Counting cells, both ends belong to it.",
        7: "You added the dilation to the kernel, 3 + 4. It counts once for each of the two distances between the three cells.",
        11: "You put 4 cells between neighbours. Dilation 1 puts none between them, so dilation 4 puts 3.",
    },
    other="Draw a line of cells and mark the first; go on by 4 twice; then count.",
)

three_small_kernels = Number(
    "Three 3×3 convolutions with stride 1, one after the other. How many pixels wide is the receptive field of one unit at the end?",
    answer=receptive_field([nn.Conv2d(1, 1, 3)] * 3)[0].size,
    right="The first sees 3 pixels, and each further layer adds one at either end: 3, 5, 7.",
    wrong={
        9: "You added 3 + 3 + 3. Neighbouring windows overlap, so each further layer adds only 2.",
        27: "You multiplied. That is what happens if every layer also has stride 3, so that windows do not overlap.",
        3: "That is what it sees of the map just before it. Each unit of that map sees more than one pixel.",
        5: "That is two layers. The third adds one more pixel at either end.",
    },
    other="Go back layer by layer: how many units of the map before does one unit see, and how many do those see together?",
)

stride_first = Choices(
    "Two layers, both 3×3: one has stride 2, the other stride 1. Which order gives the larger receptive field?",
    Right("Stride 2 first", "Then the second layer's cells lie 2 pixels apart: 3 + 2·2 = 7. The other way round it is 3 + 2·1 = 5."),
    Wrong("Stride 2 last", "A stride spreads what comes after it. Behind the last layer nothing comes, so it gains nothing: 5 pixels."),
    Wrong("The order makes no difference", "Either way the map comes out about half as large, but a stride spreads only the layers after it."),
)

_STACK_OF_FIVE = [nn.Conv2d(1, 1, 3)] * 5

as_much_as_one_large = Number(
    "How many parameters does the smallest stack of 3×3 convolutions with stride 1, dilation 1 and one channel have that sees as much as an 11×11 filter?",
    answer=len(_STACK_OF_FIVE) * parameter_count(_STACK_OF_FIVE[0]),
    right="Five layers, of 9 weights and a bias each; they see 3, 5, 7, 9 and 11 pixels. The one large filter has 122 parameters.",
    wrong={
        parameter_count(nn.Conv2d(1, 1, 11)): "That is the large filter itself: 11·11 weights and a bias.",
        45: "Those are the weights. Each layer has a bias, too.",
        40: "Four layers see 9×9. It takes one more.",
        30: "Three layers see 7×7. With dilation, three can see 11×11; but here the dilation is 1.",
        60: "Six layers see 13×13. One less is enough.",
        5: "That is the number of layers. Each of them has 9 weights and a bias.",
        10: "That is one layer.",
    },
    other="Begin with three 3×3 layers, leave the dilation at 1, and add layers until the field is 11×11. The parameters stand at the bottom of the figure.",
)
