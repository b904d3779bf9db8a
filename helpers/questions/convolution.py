"""The questions of chapter 2, in the order in which it asks them."""

import torch
from torch import nn
from torch.nn import functional as F

from helpers.conv import conv2d
from helpers.explorables.channels import IMAGE
from helpers.explorables.connections import Connections
from helpers.questions import Choices, Number, Right, Wrong
from helpers.sizes import output_size, parameter_count

shuffled_pixels = Choices(
    "What does the shuffle do to the test error of each network?",
    Wrong(
        "Both get much worse: nobody can read these images.",
        "We cannot read them, since we look for strokes. But all the information is still there, and the "
        "perceptron never looked for strokes.",
    ),
    Wrong(
        "Neither changes: no information is lost.",
        "None is lost, but one of the two networks looks at neighbouring pixels only, and those no longer belong "
        "together.",
    ),
    Right(
        "The perceptron's stays, the convolutional network's grows.",
        "The perceptron has one weight for each pixel and may number the pixels as it likes. The other one looks at "
        "neighbours.",
    ),
    Wrong(
        "The perceptron's grows, the convolutional network's stays.",
        "It is the other way round. A linear layer has a weight for each place in the row, and would learn as well "
        "if the places were numbered otherwise.",
    ),
)

image = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]])
kernel = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]])

first_number = Number(
    "The image's first three rows are 1 1 1 0 0, 0 1 1 1 0 and 0 0 1 1 1; the kernel's rows are 1 0 1, 0 1 0 and 1 0 "
    "1. "
    "What is the number in the top left corner of the result?",
    answer=F.conv2d(image[None, None], kernel[None, None])[0, 0, 0, 0].item(),
    right="Of the five ones of the kernel, four lie on ones of the window.",
    wrong={
        image[:3, :3].sum().item(): "That is the sum of the window. Each cell has to be multiplied with the kernel's "
        "number on it first, and some of those are 0.",
        kernel.sum().item(): "That is the sum of the kernel: one of its ones lies on a 0 of the image.",
        1: "That is one of the nine products. Add up all of them.",
    },
    other="Nine products: each cell of the window, times the number of the kernel that lies on it. Then add them up.",
)

count_of_numbers = Number(
    "And how many numbers will the result have?",
    answer=output_size(5, kernel_size=3) ** 2,
    right="The window fits in three places along a row and in three along a column.",
    wrong={
        25: "That would be one for each cell. But a window that starts in the last column would stick out of the "
        "image.",
        4: "It can move two steps to the right and two down, and the place where it starts counts as well.",
        16: "A window of 3 that starts in the fourth of 5 columns would stick out of the image.",
        3: "That is one row of the result.",
    },
    other="In which columns can a window of 3 start, when there are 5? It is the same for the rows.",
)

dot = torch.zeros(5, 5)
dot[2, 2] = 1
numbers = torch.arange(1.0, 10).reshape(3, 3)

difference_kernel = Choices(
    "A 3×3 kernel has the rows 0, 0, 0 and −1, 1, 0 and 0, 0, 0. Where is its map large?",
    Wrong(
        "Where the image is bright",
        "A flat bright patch gives 1·1 − 1·1 = 0. The kernel compares two neighbours; it does not measure brightness.",
    ),
    Right(
        "Where a pixel is brighter than its left neighbour",
        "It is a difference of horizontal neighbours, so it finds vertical edges, dark to bright from left to right.",
    ),
    Wrong(
        "At horizontal edges",
        "A horizontal edge changes from row to row. Both weights of the kernel lie in the same row, so it does not "
        "see that change.",
    ),
)

bright_pixel = Number(
    'In the figure, take the image "one bright pixel" and the kernel "numbers 1 to 9". Which number stands in the top '
    "left corner of the map?",
    answer=conv2d(dot[None, None], numbers[None, None])[0, 0, 0, 0].item(),
    right="In the first window the bright pixel lies in the lower right corner, under the 9. In the last one it lies under "
    "the 1: the map is the kernel, turned by 180°. The next section is about that.",
    wrong={
        1: "So it would be if the map were a copy of the kernel. But in the first window the bright pixel is not at the top "
        'left: look where the frame lies. (If "convolution" is chosen in the figure, choose "cross-correlation".)',
        5: "That is the middle of the map, where the middle of the kernel lies on the bright pixel.",
        45: "That is the sum of the kernel. Only one of its numbers lies on the bright pixel.",
        0: "The bright pixel, in row 2 and column 2, lies inside of every window.",
    },
    other="One product of the nine is not zero. Which number of the kernel lies on the bright pixel?",
)

mirrored_images = Choices(
    "You flip every image of the training set from left to right, and the random weights at the start with them, and "
    "train again. The kernels of the first layer will be …",
    Wrong(
        "the same",
        'A kernel that found "bright on the right" now meets its mirror image. What is to be found has been flipped, '
        "so the kernels are, too.",
    ),
    Right(
        "flipped from left to right",
        "Every sum of products is the same as before, in a mirrored place, so training takes the same path, mirrored. "
        "With another random start you would get other kernels of the same kinds. For the same reason it does not "
        "matter whether a library computes convolution or cross-correlation: learning turns the kernels if need be.",
    ),
    Wrong(
        "turned by 180°",
        "That is what a change from convolution to cross-correlation would do. Here only left and right change "
        "places, not top and bottom.",
    ),
)

six_filters = Choices(
    "Six filters of 5×5×3 slide over an image of 32×32×3. What shape is the result, in the lecture's order?",
    Wrong(
        "28×28×18",
        "That would be one map for each pair of filter and channel. The sum over the channels happens inside the "
        "filter.",
    ),
    Wrong(
        "32×32×6",
        "Six maps are right. But a window of 5 fits into 32 cells in 28 places only, unless the image gets a frame first.",
    ),
    Right("28×28×6", "One map for each filter, and 28 places along each side."),
    Wrong(
        "28×28×3",
        "The number of maps is that of the filters. The three channels are added up inside each filter.",
    ),
)

six_filters_bill = Number(
    "How many parameters do these six filters have, biases included?",
    answer=parameter_count(nn.Conv2d(3, 6, kernel_size=5)),
    right="6 · (5·5·3 + 1): each filter has 75 weights and one bias.",
    wrong={
        6 * 75: "Those are the weights. Each filter has a bias as well.",
        6 * 26: "That is 6 · (5·5 + 1): it forgets that a filter has a kernel for each of the three channels.",
        76: "That is one filter with its bias, and there are six.",
        75: "Those are the weights of one filter. There are six, and each has a bias.",
        6 * (75 + 3): "You gave each kernel a bias. A filter has one: it is added once, after the sum over the "
        "channels.",
    },
    other="Count the weights of one filter, 5·5 for each of the three channels, add its one bias, and take that six "
    "times.",
)

maps_of_32_filters = Number(
    "An image has 16 channels and a layer has 32 filters of 3×3. How many activation maps come out?",
    answer=nn.Conv2d(16, 32, kernel_size=3)(torch.zeros(1, 16, 5, 5)).shape[1],
    right="One for each filter.",
    wrong={
        16 * 32: "That is one map for each pair. A filter adds up over the input channels, so their number does not "
        "multiply the maps.",
        16: "That would be so if each channel kept its own map. A filter spans all input channels.",
        32 * 9: "The nine weights of a kernel are added up in every window: they make one number, not nine maps.",
        48: "You added filters and channels. Each filter reads all the channels and gives one map.",
    },
    other="What does one filter give? And how many filters are there?",
)

changed_by_one_weight = Number(
    "In the figure, choose a number of map 1, and change the weight in the middle of kernel 1 from −1 to 0. How many of the "
    "nine numbers of map 1 change?",
    answer=int((IMAGE[1] != 0).sum()),
    right="Those in whose window the pixel under this weight is not 0. And each changes by as much as its pixel says.",
    wrong={
        9: "The weight is used in all nine windows. But where the pixel under it is 0, its product is 0 with any weight.",
        1: "The weight is used for every number of the map, and not only for the one whose sum is written out.",
        3: "Is that one row? The weight is used in all nine windows.",
        2: "Those are the numbers that stay as they are.",
        0: "Look at map 1 while you change the weight. (With \"Back to the lecture's numbers\" you can try again.)",
    },
    other="Note down map 1, change the weight, and compare.",
)

find_the_bug = Choices(
    "Every number of the slide's second map is one higher than the computed one. What on the input side would do that?",
    Wrong(
        "One wrong weight",
        "A weight is multiplied with a different pixel in every window, so its error would differ from place to place.",
    ),
    Wrong(
        "One wrong pixel",
        "Most pixels lie in some windows and not in others. The middle one of a channel lies in all nine, but meets "
        "another weight in each.",
    ),
    Right(
        "The bias",
        "It is added to every sum once, so it lifts the whole map. The slide prints bias 0 and computes with bias 1.",
    ),
    Wrong("The frame of zeros", "Another frame changes the border of the map or its size, and leaves the middle as it is."),
)

pixels_seen_by_one = Number(
    "A convolution with a 5×5 kernel runs over a 28×28 image. On how many pixels does one number of its map depend?",
    answer=5 * 5,
    right="One window, and nothing outside of it.",
    wrong={
        784: "The kernel visits the whole image, but for one number of the map it lies in one place.",
        5: "That is one row of the window.",
        576: "That is how many numbers the map has, 24·24. Each of them looks at its own window.",
        1: "It looks at a whole window, and adds up its products to one number.",
    },
    other="How many cells has the window that is multiplied and added up for one number of the map?",
)

outputs_of_one_input = Number(
    "In the figure, set the units in a square of 7×7 inputs, with a kernel of 3 and a stride of 1. How many outputs of the "
    "convolution use the input in row 1, column 1?",
    answer=Connections(dimensions=2, input_size=7, side="input", unit=8).numbers()["used"],
    right="The windows that hold it begin in row 0 or 1, and in column 0 or 1: 2·2. Farther inside, an input is used by nine.",
    wrong={
        9: "So many use an input in the middle. This one is near the edge, and windows do not stick out.",
        1: "That is the input in the corner, in row 0 and column 0. Rows and columns are counted from 0.",
        2: "In one direction there are two windows that hold it. Rows and columns go together: multiply.",
        3: "So it would be in the middle of a row of inputs. Here they stand in a square.",
        6: "That is one that is near one edge only. This one is near two.",
        25: "So many outputs there are, and a dense layer would use the input for all of them. Is the convolution chosen?",
    },
    other="Choose that input: the outputs that use it show the weight with which they do.",
)

larger_image = Choices(
    "A convolutional layer computes its maps from a 32×32 image. You give it a 64×64 image. How many more parameters does it need?",
    Wrong(
        "About four times as many",
        "That is how the number of outputs and of multiplications grows. The parameters are in the filters, and "
        "those do not change.",
    ),
    Wrong(
        "Twice as many",
        "A side is twice as long, but a filter does not know how long a side is: it sees one window at a time.",
    ),
    Right("None", "Only the maps get larger. All windows share the same weights."),
)

layer_bill = Number(
    "How many parameters has `nn.Conv2d(16, 32, kernel_size=3)`?",
    answer=parameter_count(nn.Conv2d(16, 32, kernel_size=3)),
    right="Each of 32 filters has 3·3·16 = 144 weights and one bias.",
    wrong={
        32 * 144: "That leaves out the biases: one for each of the 32 filters.",
        32 * 10: "That is 32 · (3·3 + 1): it forgets that a filter has a kernel for each of the 16 input channels.",
        16 * 10: "The first number is that of the input channels. There are 32 filters, and each has 16 kernels.",
        145: "That is one filter, and there are 32.",
        16 * (9 * 32 + 1): "You have exchanged the channels and the filters: there is one bias for each filter.",
    },
    other="Count the weights of one filter, 3·3 for each of the 16 channels, add its one bias, and take that 32 times.",
)

stages_with_parameters = Choices(
    "Which of the three stages have parameters, numbers that training changes?",
    Right(
        "Only the convolution",
        "Its weights and its bias. ReLU and the maximum are fixed rules: nothing in them can be learned.",
    ),
    Wrong(
        "The convolution and the activation function",
        "The function changes every value, but by a fixed rule: max(0, a) has no number in it that could be learned.",
    ),
    Wrong(
        "The convolution and the pooling",
        "The size of the pooling window is a choice of ours, as the size of a kernel is. Training does not change it.",
    ),
    Wrong(
        "All three",
        "ReLU and the maximum have no number that could be learned. The size of a window is our choice, not a "
        "parameter.",
    ),
)

trained_on_shuffled = Choices(
    "The network learned its eight 5×5 kernels from plain digits. What will they look like if it learns from "
    "shuffled pixels?",
    Wrong(
        "The same strokes and edges",
        "A stroke is made of neighbouring pixels that are bright together. After the shuffle, neighbours have "
        "nothing to do with each other.",
    ),
    Wrong(
        "The same strokes, shuffled in the same way",
        "The shuffle moves pixels across the whole image, far out of a window of 5×5. No kernel can put a stroke "
        "together again.",
    ),
    Right(
        "Rough, without strokes",
        "Nothing in the shuffled images makes neighbouring weights alike.",
    ),
    Wrong(
        "All zero: there is nothing to learn",
        "Single pixels still tell something about the digit, and so training still moves the weights.",
    ),
)

kernels_of_the_second_layer = Number(
    "The first layer gives eight maps, the second has sixteen filters of 5×5. How many kernels has each of the "
    "sixteen?",
    answer=nn.Conv2d(8, 16, kernel_size=5).weight.shape[1],
    right="One for each map below it.",
    wrong={
        1: "Then it could look at one of the eight maps only. A filter spans all of its input channels.",
        16: "That is the number of filters. The number of kernels in each is that of its input channels.",
        128: "That is all of them together, 16·8.",
        3: "Three is for the colours of a photograph. Here the input has as many channels as the first layer has "
        "filters.",
        25: "Those are the weights of one kernel.",
    },
    other="A filter has one kernel for each channel of its input. What is the input here?",
)
