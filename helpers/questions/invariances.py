"""Questions of chapter 6, "Invariances"."""

from helpers.explorables.invariances import over_the_range
from helpers.lenet import LeNet
from helpers.questions import Choices, Number, Right, Wrong
from helpers.sizes import output_size

hardest = Choices(
    "A network was trained on upright digits in the middle of their image. Which of these hurts it least?",
    Wrong(
        "Every digit moved by 6 pixels",
        "It seems that a convolution should not care where a digit is. But the dense layers above it do: each of their "
        "weights belongs to one place.",
    ),
    Right(
        "Every digit sheared by 15 degrees",
        "People write more or less slanted, so the training images hold many slants already. A network forgives best "
        "what its training images have shown it.",
    ),
    Wrong(
        "Every digit turned by 90 degrees",
        "No training image is turned so far, so nothing has told the network that a turned digit is the same digit.",
    ),
)


def last_right(network, **amounts):
    """How far the figure's 6 may move to the right."""
    _, (_, last) = over_the_range(network, 6, "right", **amounts)
    return last


turned_and_moved = Number(
    "In the figure above, rotate the 6 by 30°, and leave it so. Then move it to the right, pixel by pixel: what is the "
    "last shift at which the plain network's answer is still right?",
    answer=last_right("plain", rotate=30),
    right=f"Upright, it may move by {last_right('plain'):.0f} pixels. What a network forgives of two changes at once does not "
    "follow from what it forgives of each: this turn leaves less room to the right, the opposite one, −30°, leaves more "
    f"({last_right('plain', rotate=-30):.0f} pixels).",
    wrong={
        last_right("plain"): "So far the upright 6 may move. Rotate it by 30° first, then choose “Move right” again.",
        last_right("augmented", rotate=30): "That is the augmented network, the lower strip.",
        last_right("plain", rotate=-30): "You rotated the other way, clockwise: −30°.",
        last_right("plain", rotate=30) + 1: "There the answer is wrong already; the last right one is a pixel before.",
    },
    other="Choose “Rotate” and set 30°, then “Move right”: the line above the strip says from where to where it is right.",
)

turned_six = Choices(
    "We turn every 6 of the test set by 180 degrees. What will a network that has only seen upright digits mostly answer?",
    Wrong(
        "6, because turning an image does not change what it shows",
        "Nobody has told the network so. It knows the training images, and none of them was upside down.",
    ),
    Right("9", "A turned 6 looks like a 9, and in this case the network is right to say so: orientation carries meaning."),
    Wrong(
        "It spreads its probability evenly over the ten digits",
        "A network need not be unsure about images unlike those it has seen; and a turned 6 is like images it has seen.",
    ),
)

equivariant = Choices(
    "We shift an image by 3 pixels to the right. What does the activation map of a convolution with stride 1 do, "
    "away from the border?",
    Wrong("It stays the same", "That would be invariance. A map says where its feature is, and the feature has moved."),
    Right(
        "It shifts by 3 cells to the right",
        "The same weights meet the same pixels, 3 windows later. This is equivariance.",
    ),
    Wrong(
        "It has the same values in an order that cannot be foretold",
        "Each window of the shifted image is a window of the old one, 3 pixels further; so the order is kept.",
    ),
)

exact_shifts = Number(
    "The figure shifts by −8 to 8 pixels down and −8 to 8 to the right: 17 · 17 = 289 shifts. "
    "For how many of them do the two ways agree away from the border, if the layer is LeNet's first stage?",
    answer=sum(by % LeNet().layers.pool1.stride == 0 for by in range(-8, 9)) ** 2,
    right="Its pooling has a stride of 2, so both shifts have to be even: 9 of the 17 each way, with 0 among them, and 9 · 9 = 81.",
    wrong={
        17 * 17: "That is so for its convolution alone, which has a stride of 1. Behind it comes pooling.",
        9 * 17: "One of the two shifts is even there. Try 2 down and 3 to the right.",
        8 * 8: "You have the even shifts, but 0 is one of them.",
        8 * 17: "One of the two shifts is even there, and 0 is missing. Try 2 down and 3 to the right.",
        145: "About half: but an even sum is not enough. Try 1 down and 1 to the right.",
        25: "Those are the multiples of 4. More shifts are exact: try 2 down and 2 to the right.",
        9: "That is one direction alone. The two go together in every way: multiply.",
        1: "No shift at all is not the only one. Try 2 down and 2 to the right.",
    },
    other="Find out which shifts in one direction are exact, count them, and multiply.",
)

pooled_shift = Number(
    "LeNet pools twice with stride 2. What is the smallest shift of the image, in pixels and larger than 0, "
    "that moves the maps behind the second pooling by whole cells?",
    answer=2 * 2,
    right="One cell there stands for 2 · 2 pixels, so a shift by 4 moves the maps by exactly one cell. "
    "(2 + 2 gives 4 only by chance: three poolings would need 8.)",
    wrong={
        1: "With stride 1 throughout it would be so. A cell behind a stride of 2 stands for 2 pixels.",
        2: "That is so behind the first pooling. The second one halves the map again.",
        3: "A shift by 3 is odd, so already the first pooling does not move by whole cells.",
        8: "You have multiplied once too often: there are two poolings.",
    },
    other="Multiply the strides of all layers up to that map.",
)

normalise_first = Choices(
    "We normalise each image first: find the box around the ink, centre it, undo the slant, then classify. "
    "Which test images does this help least?",
    Wrong(
        "Digits moved to a corner",
        "There the box and the centre of the ink are found without trouble, so moving the digit back is what works best.",
    ),
    Right(
        "Digits with a piece of a neighbour in the image",
        "The box then holds the neighbour's ink too. To find the right box one must know what belongs to the digit, "
        "which is what we hoped to find out afterwards.",
    ),
    Wrong("Digits with a slant", "The slant is measured from the ink, and a shear undoes it."),
)

never_nothing = Choices(
    "A network with ten classes gets a box with some ink in it, but no digit. What can it answer?",
    Wrong(
        "Ten probabilities near 0, which mean: no digit",
        "Softmax makes the ten add up to 1, so they cannot all be near 0.",
    ),
    Right(
        "Ten probabilities that add up to 1, one of which may well be close to 1",
        "It was never asked whether there is a digit, only which, and nobody has trained it to be unsure.",
    ),
    Wrong(
        "One tenth for each, because it knows nothing about this box",
        "It would be so if the logits were all equal. For a box without any ink they are nearly (try “Clear” in the figure of "
        "chapter 5); but nothing in training has asked for that.",
    ),
)

box_count = Number(
    "A scene has 96 rows and 144 columns. We try all boxes of 28×28 pixels whose corners are 4 pixels apart. "
    "How many boxes is that?",
    answer=output_size(96, 28, stride=4) * output_size(144, 28, stride=4),
    right="(96 − 28)/4 + 1 = 18 rows of boxes, and (144 − 28)/4 + 1 = 30 columns: the formula of chapter 3 again.",
    wrong={
        (96 // 4) * (144 // 4): "You divided the scene by the step; but a box has to fit: its corner cannot be in the "
        "last 27 rows or columns.",
        (96 - 28) // 4 * ((144 - 28) // 4): "You forgot the first place in each direction: steps + 1 places.",
        18 + 30: "18 rows and 30 columns of boxes is right. Each row has all the columns: multiply.",
        15: "You laid boxes side by side. They overlap: their corners are only 4 pixels apart.",
    },
    other="Count the places of a 28×28 window with stride 4, in each direction, and multiply.",
)

tolerant = Choices(
    "Why does a finder need fewer boxes when its network accepts digits that are a little off?",
    Wrong(
        "Because the network then is faster",
        "Each box costs the same. There are fewer of them.",
    ),
    Right(
        "Because the next box of the grid may be further away from the digit's true place",
        "A grid step leaves the nearest box off by up to half a step. What the network forgives, the grid may miss.",
    ),
    Wrong(
        "Because non-maximum suppression drops the others",
        "It drops boxes after all of them have been tried, so it saves no work in the network.",
    ),
)

wrong_knowledge = Choices(
    "Which change of the training images would teach a digit network something false?",
    Wrong("Small shifts", "A digit stays the same digit when it moves."),
    Wrong("Shears of up to 10 degrees", "Handwriting has all sorts of slants, and a slanted 4 is still a 4."),
    Right(
        "Turns by up to 180 degrees",
        "Half a turn makes a 6 look like a 9, but the label stays 6. Invariance that the task does not have does harm.",
    ),
    Wrong("Bending strokes a little", "Elastic distortions do that, and they were part of several records on MNIST."),
)

what_2010_was = Choices(
    "The network of 2010 with 35 errors had about 12 million weights. What kind of network was it?",
    Wrong(
        "A deep convolutional network",
        "The slide stands among convolutional networks, so it reads that way. The paper is about plain dense layers.",
    ),
    Right(
        "A multilayer perceptron, without any convolution",
        "Its knowledge of invariance came from distorted training images alone.",
    ),
    Wrong("An average of several networks", "That came later, and brought fewer errors still."),
)
