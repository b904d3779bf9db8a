"""The questions of chapter 1, in the order in which it asks them."""

import torch
from torch import nn
from torch.nn import functional as F

from helpers.explorables.training import recorded
from helpers.questions import Choices, Number, Right, Wrong
from helpers.sizes import output_size, parameter_count

steps, _, linear_accuracies, *_ = recorded("linear")
accuracies = {"linear": linear_accuracies.tolist(), "cnn": recorded("cnn")[2].tolist()}

always_the_same = Choices(
    "A program answers 7 whatever image it gets. How often is it right?",
    Wrong("Never: it has learned nothing.", "It is right whenever the image happens to be a 7, and some images are."),
    Right(
        "About one time in ten.",
        "There are ten classes of nearly equal size. Everything that we train has to be compared with that.",
    ),
    Wrong(
        "Half of the time: right or wrong.", "Two outcomes need not be equally likely. Nine of ten classes are not 7."
    ),
    Wrong(
        "That cannot be known without training it.",
        "It can: counting the labels is enough, and the next cell does.",
    ),
)

shape_of_result = Choices(
    "A layer `nn.Linear(784, 10)` gets a tensor of shape (100, 784). What is the shape of the result?",
    Wrong(
        "(784, 10)",
        "That is the shape of the weights, written with one neuron in each column. The result has one row for each "
        "image.",
    ),
    Right("(100, 10)", "100 images, ten logits each. The inner size, 784, is summed over and disappears."),
    Wrong(
        "(10)",
        "That would be the result for one image, or the sum over all of them. A layer keeps the images of a "
        "mini-batch apart.",
    ),
    Wrong("(1000)", "As many numbers, but images and classes stay separate axes: nothing is flattened at the end."),
)

numbers_to_learn = Number(
    "How many numbers are there to learn in that layer?",
    answer=parameter_count(nn.Linear(784, 10)),
    right="784 · 10 weights, and one bias for each of the ten neurons.",
    wrong={
        784 * 10: "Those are the weights. Each of the ten neurons has a bias as well.",
        784 + 10: "You added the sizes. Each of ten neurons has a weight for each of the 784 pixels, and a bias.",
        784: "That is one neuron without its bias, and there are ten neurons.",
        785: "That is one neuron with its bias, and there are ten neurons.",
        784 * 10 * 100 + 10: "The number of images does not count: all images meet the same weights.",
    },
    other="Count the weights of one neuron, one for each pixel, add its bias, and take that ten times.",
)

loss_gap = Number(
    "The logits are 3 for A and 1 for B. By how much does the loss grow if the label is B instead of A?",
    answer=round(
        (
            F.cross_entropy(torch.tensor([3.0, 1]), torch.tensor(1))
            - F.cross_entropy(torch.tensor([3.0, 1]), torch.tensor(0))
        ).item(),
        4,
    ),
    right="It is the gap between the two logits: in the difference of the two logarithms, the sum under the fraction "
    "cancels.",
    wrong={
        3: "The loss does not look at one logit alone: add 5 to both, and no probability changes. What counts is "
        "their gap.",
        **dict.fromkeys(
            (0.76, 0.762),
            "That is the difference between the probabilities, 0.88 and 0.12. The loss takes their logarithms first.",
        ),
        4: "You added the logits. Adding the same number to both logits changes nothing, so only their difference "
        "can count.",
        -2: "The size is right, but the network is surer of A, so the loss is larger if the label is B.",
    },
    other="Write both losses as −z + ln(sum of the exponentials) and subtract. The sum is the same in both.",
)

softmax_twice = Choices(
    "Somebody ends the network with a softmax, and uses `nn.CrossEntropyLoss`. What happens?",
    Wrong(
        "An error: the loss wants logits.", "It wants logits, but any numbers look like logits to it. Nothing checks."
    ),
    Wrong(
        "Nothing changes: the softmax of probabilities gives the same probabilities.",
        "Probabilities lie between 0 and 1, so as logits they differ by 1 at most, and their softmax is nearly flat.",
    ),
    Right(
        "No error: softmax is applied twice, and the loss can never come near 0.",
        "Even for a perfect answer, the second softmax leaves the right class far from probability 1; the next cell "
        "computes how far. The largest number stays the largest, so the answers can still be right, and the mistake is easy "
        "to miss.",
    ),
    Wrong(
        "It trains better, since probabilities are what we want.",
        "We want them for reading, not for the loss. For reading, apply the softmax outside of the network.",
    ),
)


def slope_after(calls):
    """Return the gradient of w² at 2 after ``calls`` calls of backward."""
    w = torch.tensor(2.0, requires_grad=True)
    for _ in range(calls):
        (w * w).backward()
    return w.grad.item()


gradient_after_three_calls = Number(
    "The slope of w² at w = 2 is 4. We call `(w * w).backward()` three times. What is then in `w.grad`?",
    answer=slope_after(3),
    right="4 + 4 + 4: each call adds to what is there.",
    wrong={
        4: "It would be, if each call replaced what the last one left.",
        8: "That is what stands there after the second call.",
        64: "The calls add their gradients, they do not multiply them.",
    },
    other="Each call finds the slope, 4. The question is what it does with the 4 that is there already.",
)

forgotten_zero_grad = Choices(
    "A training loop takes one step after another, and before each it should clear the old gradients: "
    "`optimizer.zero_grad()` does that. You forget it. What does the loop do?",
    Wrong(
        "It raises an error at the second `backward()`.",
        "To add up gradients is allowed, and sometimes wanted. The error about a second `backward()` comes when the "
        "same record of a computation is used twice; here each step makes a new one.",
    ),
    Wrong("Nothing changes: `backward()` overwrites the old gradients.", "It adds to them, as the three calls showed."),
    Wrong("The weights do not move.", "They do move, with every step, and usually too far."),
    Right(
        "Each step uses the sum of all gradients so far.",
        "Old gradients push for ever, and the loss swings instead of settling. The second task at the end of the chapter "
        "shows it.",
    ),
)


def velocity(steps, momentum=0.9):
    """Return the velocity of SGD after ``steps`` gradients of 1."""
    v = 0.0
    for _ in range(steps):
        v = momentum * v + 1
    return v


velocity_in_the_long_run = Number(
    "Every gradient is 1, and the momentum is 0.9. Which number does the velocity approach in the long run?",
    answer=round(velocity(1000), 6),
    right="It stays where it is once 0.9 · v + 1 = v, and that is at v = 10: ten steps of plain gradient descent in "
    "one.",
    wrong={
        1: "That is the velocity after the first step. The second keeps 0.9 of it and adds 1 again.",
        1.9: "That is the velocity after two steps; it goes on growing.",
        0.9: "That is the share that each step keeps. To it comes the new gradient, 1.",
        9: "0.9 · 9 + 1 is 9.1, so the velocity still grows there.",
    },
    other="Look for the velocity that a step leaves as it is: 0.9 · v + 1 = v.",
)

error_of_the_guess = Number(
    "If we take 100 times as many images for a gradient, how many times smaller does its error become?",
    answer=100**0.5,
    right="The error of a mean falls with the square root of how many it is taken over.",
    wrong={
        100: "That would be so if a hundred errors added up to no more than one of them. They point in all directions "
        "and cancel only in part: their sum is about ten times as long as one, and the mean is a hundredth of that.",
        1: "Each image has its own error, and in a mean they cancel in part.",
        10_000: "More images help less than that: even the mean of a hundred still has errors that did not cancel.",
    },
    other="The errors of single images cancel only in part: the error of a mean of n falls with the square root of n.",
)

first_loss = Choices(
    "A network with ten classes has just been made. On the first mini-batch its loss is 2.3. What does this tell you?",
    Wrong(
        "It is broken: the first loss should be near 0.",
        "A loss near 0 would mean that it gives the right class nearly all the probability, before it has learned "
        "anything.",
    ),
    Wrong(
        "It is right 2.3 % of the time.",
        "The loss is not an accuracy. It is minus the logarithm of the probability of the right class.",
    ),
    Right(
        "It gives the right class a probability of about 1/10, so it starts where it should.",
        "ln 10 is 2.303. That does not prove that it can learn; for that, let it learn a hundred images by heart.",
    ),
    Wrong("The learning rate is too large.", "No step has been made, so the learning rate has not mattered yet."),
)


def losses_printed(images, batch_size, epochs):
    """Count how often the slide's condition holds."""
    return sum(i % 2000 == 1999 for _ in range(epochs) for i in range(images // batch_size))


lines_of_the_slide = Number(
    "60,000 images, 100 at a time, and now 10 epochs: how often does `if i % 2000 == 1999` hold, when `i` counts "
    "within the epoch?",
    answer=losses_printed(60_000, 100, epochs=10),
    right="An epoch has 600 steps, so `i` stays below 600.",
    wrong={
        3: "There are 6,000 steps in all, but `i` starts again at 0 in each epoch.",
        30: "An epoch has 600 steps, not 6,000.",
        10: "Once in each epoch would need at least 2,000 steps in each.",
    },
    other="Count the steps of one epoch. How far does `i` get?",
)

set_to_choose_by = Choices(
    "Which set may you use to choose between two learning rates?",
    Wrong(
        "The training set: the lower training loss wins.",
        "Then the network that memorises best wins. The hundred images showed that zero training errors can go with "
        "many errors elsewhere.",
    ),
    Right(
        "The validation set.",
        "That is what it is for. After many such choices it looks a little better than the truth, and so the last "
        "word belongs to the test set.",
    ),
    Wrong(
        "The test set: it is the fairest.",
        "It is fair only as long as nothing was chosen by it. After the choice there is no untouched set left.",
    ),
    Wrong(
        "Any of them, if it is large enough.",
        "Size lessens chance, but not this bias: what was chosen by a set looks too good on that set.",
    ),
)

_FOUR_OF_FIVE = next(step for step, accuracy in zip(steps, accuracies["linear"]) if accuracy > 0.8)
four_of_five = Number(
    "In the figure, what is the first of the recorded steps after which the linear classifier reads more than 80% of the "
    "digits?",
    answer=_FOUR_OF_FIVE,
    right="So few mini-batches of 100 digits are enough for that. The next ten percent take far longer.",
    wrong={
        10: f"After 10 steps it is {accuracies['linear'][steps.index(10)]:.1%}: nearly. Which step comes next?",
        20: "There is an earlier one. Go back by a step.",
        1000: "That is the end. Drag the slider to the start, and go on until the accuracy passes 80%.",
        steps.index(_FOUR_OF_FIVE) + 1: "That is its place among the recorded steps, counted from 1; the question is after how "
        "many steps of training.",
        28: "There, more than 85% are read. Go back.",
    },
    other="Go to the start, then on step by step, and read the line above the images.",
)

dark_centre = Choices(
    "In the image of the weights of 0, the centre is dark, that is, negative. What does that mean?",
    Wrong("The network does not look at the centre.", "Then the weights there would be near zero, which is grey."),
    Right(
        "A 0 has no ink in the centre, so ink there speaks against a 0.",
        "A weight multiplies ink: a negative one lowers the score where there is ink, and does nothing where there "
        "is none.",
    ),
    Wrong(
        "The centre of the training images is dark.",
        "A weight image is not a picture of the data. And a pixel without ink gives no gradient at all, so it makes "
        "no weight negative.",
    ),
)


def features_of_net(side):
    """Count the numbers that reach the first linear layer of the lecture's network."""
    for _ in range(2):
        side = output_size(output_size(side, kernel_size=5), kernel_size=2, stride=2)
    return 16 * side * side


features_of_a_digit = Number(
    "With the channels mended: how many numbers of a 28×28 digit reach the first linear layer? "
    "A 5×5 convolution takes 4 rows and columns away, a pooling halves what is left, each comes twice, and there are "
    "16 maps at the end.",
    answer=features_of_net(28),
    right="28 → 24 → 12 → 8 → 4, and 16 · 4 · 4 is 256.",
    wrong={
        features_of_net(32): "That is what a 32×32 image gives, and what the layer was made for.",
        16 * 7 * 7: "You halved 28 twice, 16·7·7, and left out what the two convolutions take away. Or you took the pixels "
        "of the digit, 28·28, which are as many; but convolutions and poolings come before the linear layer.",
        16 * 20 * 20: "You left out the two poolings, each of which halves the side.",
        16: "That is the number of maps. Each of them has rows and columns.",
        16 * 4: "16 maps, but each has 4 rows and 4 columns.",
    },
    other="Follow one side, 28, through convolution, pooling, convolution, pooling. Then square it, and take it 16 "
    "times.",
)

who_is_ahead = Choices(
    "Which of the two networks in the figure reads more digits, and when?",
    Wrong(
        "The convolutional network, from the first steps on.",
        f"After 28 steps it reads {accuracies['cnn'][steps.index(28)]:.0%} and the linear classifier "
        f"{accuracies['linear'][steps.index(28)]:.0%}. Look at both curves near the start.",
    ),
    Wrong(
        "The linear classifier, all along.",
        f"At the end it reads {accuracies['linear'][-1]:.1%}, and the convolutional network {accuracies['cnn'][-1]:.1%}.",
    ),
    Right(
        "The linear classifier for about the first hundred steps, then the convolutional network.",
        "The second begins slowly: its layers have to learn together, each from random weights, and for some thirty steps the "
        "loss hardly falls. Whoever stopped there would choose the worse network.",
    ),
    Wrong(
        "Neither: both curves meet at the end.",
        "After the first step they meet only once, near step 100, and then part again: near 100% a small distance is a large "
        "part of the errors.",
    ),
)

longer_training = Choices(
    "The linear classifier reads fewer than half of the digits when they are moved by 3 pixels. "
    "Would training it longer on the same images help?",
    Wrong(
        "Yes: it is not trained to the end.",
        "It would fit the centred digits a little better. Nothing in them tells it about other places.",
    ),
    Wrong(
        "Yes, with a smaller learning rate.",
        "That changes how it gets to a template, not what a template is.",
    ),
    Right(
        "No: each weight belongs to one pixel, and nothing learned there carries over to its neighbours.",
        "Training on shifted digits does help, as the last task of the chapter measures, but then one template has to "
        "fit all the places at once. Sharing weights between places avoids that.",
    ),
)
