"""The questions of chapter 4, pooling."""

import torch
from torch import nn

from helpers.equivariance import shifted
from helpers.explorables.pooling import SMALL
from helpers.pooling import max_pool2d
from helpers.questions import Choices, Number, Right, Wrong
from helpers.receptive_field import receptive_field
from helpers.sizes import output_size, parameter_count

LINE = torch.tensor([[[8.0, 0, 0, 0, 0, 0]] * 4])

overlapping_windows = Number(
    "A 24×24 map is pooled with windows of 3×3 and a stride of 2, without padding. How many rows has the result?",
    answer=output_size(24, 3, stride=2),
    right="(24 − 3)/2 + 1 = 11.5, and PyTorch rounds down. It is the formula of chapter 3: a window is a window.",
    wrong={
        8: "Those are windows side by side, with a stride of 3. PyTorch takes the kernel size as stride only where you name none.",
        12: "That is half of 24, or 11.5 rounded up. Rounding up is what `ceil_mode=True` does.",
        22: "That is a stride of 1: 24 − 3 + 1.",
        10: "You counted the steps between the windows. The first place counts as well.",
    },
    other="Use the formula of chapter 3, (w − f + 2p)/s + 1, and round down.",
)

seen_by_windows = Number(
    "In the figure, take the 4×4 map, the maximum, windows of 3×3 and a stride of 1. How many of the results are 7?",
    answer=int((max_pool2d(torch.tensor([SMALL]), 3, stride=1) == 7).sum()),
    right="Windows that overlap can share their largest cell: both windows of the lower row hold the 7.",
    wrong={
        1: "There is one 7 in the map, but more than one window holds it. Choose each of the results.",
        4: "The two upper windows end in row 2, and the 7 stands in row 3.",
        0: "Is the average chosen? The maximum of a window that holds the 7 is 7.",
    },
    other="Choose the results one by one: in which of them does the window hold the 7?",
)

six_maps = Choices(
    "Six maps of 28×28 go through `nn.MaxPool2d(2)`. What comes out?",
    Wrong("one map of 14×14", "A filter of a convolution adds up over the channels. Pooling does not mix them."),
    Wrong("three maps of 14×14", "The windows lie in rows and columns. The number of maps is not touched."),
    Right("six maps of 14×14", "Each map is pooled as if it were alone; rows and columns are halved."),
    Wrong("six maps of 7×7", "That is a quarter of each side. A quarter is left of the numbers, since both sides are halved."),
)

parameters = Number(
    "How many parameters has `nn.MaxPool2d(2)` behind a layer with six maps?",
    answer=parameter_count(nn.MaxPool2d(2)),
    right="Nothing in it is learned: which cell is the largest is decided anew for each image.",
    wrong={
        4: "Those are the cells of a window. They are compared, but not weighed.",
        24: "Those are the cells of six windows. Cells are inputs, not parameters.",
        12: "That is the subsampling of LeNet, with a coefficient and a bias for each map; it comes at the end of this chapter.",
        30: "That would be a convolution with one 2×2 kernel and a bias for each map.",
    },
    other="Ask what training could change in this layer.",
)

gradient_of_ties = Choices(
    "A window holds 3, 7 / 7, 2, and the gradient that arrives at its pooled number is 1. Who gets it, with PyTorch's max pooling?",
    Wrong("each of the four cells a quarter", "That is average pooling, where each cell has a quarter of the say."),
    Wrong("both sevens, half each", "That would be fair, and `amax` does so. Max pooling remembers a single winner."),
    Wrong("both sevens, 1 each", "Then twice as much would come out as came in, as if raising both at once could raise the result by twice as much."),
    Right("the first seven, all of it", "The window is read row by row, and only a greater number takes the lead. So the first of equals stays."),
)

one_pixel_to_the_right = Choices(
    "A digit moves by one pixel to the right. What does max pooling with 2×2 windows and stride 2 put out?",
    Wrong("the same numbers as before", "Only where the largest number stays inside its window and no larger one comes in. A line one cell wide leaves its window at every second step."),
    Wrong("the same numbers, one cell further to the right", "One cell of the result is two pixels of the image. That is what a move by two pixels does."),
    Right("some of the same numbers, and some others", "Where the largest number stays inside its window and no larger one comes in, the result stays; elsewhere it mostly changes. How much, we measure."),
    Wrong("entirely different numbers", "Where the largest number stays inside its window and no larger one comes in, the result stays as it was."),
)

line_leaves = Number(
    "In the figure, take the vertical line, the maximum, windows of 3×3 and a stride of 3. "
    "The line starts in column 0. At which shift to the right does a result change for the first time?",
    answer=next(right for right in range(1, 6) if not max_pool2d(shifted(LINE, right=right), 3).equal(max_pool2d(LINE, 3))),
    right="The first window covers columns 0 to 2. As long as the line is in it, the maximum is the same. "
    "A line that starts in column 2 leaves at the first step: it is a matter of where it stands.",
    wrong={
        1: "The map changes at once, but the first window covers the columns 0 to 2: the line is still in it.",
        2: "That is so for windows of 2×2 with a stride of 2. Is the window set to 3, and the stride too?",
        4: "It has changed before: at that shift the line is already in the second column of the next window.",
    },
    other="Shift step by step, and watch how many of the results change.",
)

field_behind_pooling = Number(
    "A 5×5 convolution, 2×2 pooling with stride 2, and another 5×5 convolution. How many pixels wide is the receptive field of a number at the end?",
    answer=receptive_field([nn.Conv2d(1, 1, 5), nn.MaxPool2d(2), nn.Conv2d(1, 1, 5)])[0].size,
    right="5 for the first, 1 more for the pooling, and then four more steps, which are two pixels each: 5 + 1 + 4·2.",
    wrong={
        9: "That is 5 + 4, so without the pooling.",
        10: "Kernel sizes do not simply add up, and behind the pooling one step is two pixels.",
        13: "You have the doubled steps, 5 + 4·2, but a pooled number sees one pixel more than the convolution before it.",
        18: "That doubles all of 5 + 4. What lies before the pooling is not stretched.",
    },
    other="Go forward: how wide is the field after each of the three layers, and how far apart are neighbours?",
)

diluted = Number(
    "A detector responds with 1 at one place of an 8×8 tile and with 0 at all others. What does average pooling make of the tile? Give a decimal number, to at least three places.",
    answer=1 / 64,
    right="1/64: the response is shared out over 64 cells. Max pooling gives 1, in a tile of any size.",
    wrong={
        1: "That is max pooling.",
        0.02: "That is 1/64 rounded too far: it is 0.0156.",
        0.125: "That is 1/8. The tile has 8 rows of 8 cells.",
        0: "Small, but not nothing: the average is the sum over the number of cells.",
        64: "The sum is divided by the number of cells, not multiplied.",
    },
    other="Add up the tile, and divide by the number of its cells.",
    tolerance=0.0007,  # takes 0.015 as well
)

max_of_noise = Choices(
    "A black patch of an image is 0, plus noise: each pixel has its own random number, and their mean is 0. What is 2×2 max pooling of it, on average?",
    Wrong("0", "That is so for the average of the four; the largest is mostly greater."),
    Right("above 0", "The largest of four is never less than their average, and mostly greater. The average is 0 in the mean, so the largest lies above it."),
    Wrong("below 0", "That would be the smallest of the four."),
)

cells_of_tau = Number(
    "In this formula, let τ be 2. How many cells has the window?",
    answer=len([(k, l) for k in range(-5, 6) for l in range(-5, 6) if abs(k) < 2 and abs(l) < 2]),
    right="k and l are −1, 0 or 1, so it is a window of 3×3.",
    wrong={
        4: "You counted k = 0 and 1. With the bars of the absolute value, −1 belongs to it, too.",
        25: "The sign is <, not ≤: k = −2 and k = 2 are out.",
        3: "That is one side of the window. Here k and l both run.",
        16: "An even number of values is not possible: with each k, −k is in it, and 0 stands alone.",
    },
    other="Write down all k with |k| < 2. There are as many values of l.",
)
