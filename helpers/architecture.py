"""Build a network from the lecture's pattern, ``INPUT -> [[CONV -> RELU]*N -> POOL?]*M -> [FC -> RELU]*K -> FC``."""

import re

from torch import nn

LAYERS = ("CONV", "RELU", "POOL", "FC")
MOST_LAYERS = 1000
TOKEN = re.compile(r"->|[A-Za-z]+|\d+|\S")


class PatternError(ValueError):
    """A pattern that cannot be built. Its message shows the pattern, with a ^ under the place that is meant."""

    def __init__(self, problem, pattern, position):
        one_line = re.sub(r"\s", " ", pattern)
        super().__init__(f"{problem}\n{one_line}\n{' ' * position}^")
        self.position = position


def build(
    pattern, *, input_shape=(1, 28, 28), channels=16, kernel_size=3, features=128, classes=10, pool=True, **repeats
):
    """Build the network that a pattern describes, with newly drawn weights.

    Parts follow one another after ``->``; ``[...]*2`` stands for the part in brackets twice in a row.

    - ``INPUT`` comes first, once.
    - ``CONV`` is a convolution with stride 1 and so much zero padding that rows and columns stay as many.
    - ``RELU`` is the activation function.
    - ``POOL`` is 2×2 max pooling with stride 2: it halves rows and columns, which must be even.
    - ``POOL?`` is ``POOL`` if ``pool`` is true, and nothing if not.
    - ``FC`` is a fully connected layer; before the first one the maps are stretched into a row, so no CONV or POOL may
      follow.

    Parameters
    ----------
    pattern : str
    input_shape : (int, int, int)
        Channels, rows and columns of an image.
    channels : int or sequence of int
        Output channels of every CONV, or of each in turn, repetitions written out.
    kernel_size : int
        Of every CONV; odd, as an even kernel cannot keep the size with equal padding on both sides.
    features : int or sequence of int
        Outputs of every FC but the last, or of each in turn.
    classes : int
        Outputs of the last FC.
    pool : bool
        What ``POOL?`` means.
    **repeats : int
        Values for letters in the pattern, such as ``N=2`` for ``[CONV]*N``.

    Returns
    -------
    torch.nn.Sequential
        It takes images (N, \\*input_shape), and is made of torch's layers only.

    Raises
    ------
    PatternError
        If the pattern does not parse, or a layer does not fit in its place. It is a ValueError.
    TypeError, ValueError
        If another argument is out of range, or ``channels`` or ``features`` are not as many as the layers.

    Examples
    --------
    >>> build("INPUT -> [CONV -> RELU -> POOL]*2 -> FC", channels=(6, 16))[0]
    Conv2d(1, 6, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """
    layers = expand(pattern, pool=pool, **repeats)
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ValueError(f"input_shape is (channels, rows, columns), such as (1, 28, 28), got {input_shape!r}")
    for side in input_shape:
        _check_positive(side, "each number of input_shape")
    _check_positive(kernel_size, "kernel_size")
    _check_positive(classes, "classes")
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd for a CONV to keep the size, got {kernel_size}")
    words = [word for word, _ in layers]
    channels = iter(_one_each(channels, words.count("CONV"), "channels", "CONV layers"))
    features = iter(_one_each(features, max(words.count("FC") - 1, 0), "features", "FC layers before the last"))
    last_fc = len(words) - 1 - words[::-1].index("FC") if "FC" in words else None

    depth, rows, columns = input_shape
    row = None  # how many numbers the maps were stretched to, once they are
    modules = []
    for number, (word, position) in enumerate(layers):
        if word in ("CONV", "POOL") and row is not None:
            raise PatternError(f"{word} needs maps, but the FC before it left a row of numbers", pattern, position)
        if word == "CONV":
            out = next(channels)
            modules.append(nn.Conv2d(depth, out, kernel_size, padding=kernel_size // 2))
            depth = out
        elif word == "RELU":
            modules.append(nn.ReLU())
        elif word == "POOL":
            if rows % 2 or columns % 2:
                raise PatternError(
                    f"layer {number} of {len(layers) - 1}, POOL, cannot halve maps of {rows}×{columns}: "
                    "leave it out, or change input_shape",
                    pattern,
                    position,
                )
            modules.append(nn.MaxPool2d(2))
            rows, columns = rows // 2, columns // 2
        elif word == "FC":
            if row is None:
                modules.append(nn.Flatten())
                row = depth * rows * columns
            out = classes if number == last_fc else next(features)
            modules.append(nn.Linear(row, out))
            row = out
    return nn.Sequential(*modules)


def expand(pattern, *, pool=True, **repeats):
    """Write out a pattern's repetitions: a list of (word, position in the pattern), INPUT first.

    Parameters and errors are those of :func:`build`.
    """
    if not isinstance(pattern, str):
        raise TypeError(f"a pattern is text, such as 'INPUT -> CONV -> RELU -> FC', got {type(pattern).__name__}")
    open_brackets = [(None, [])]  # where each one stands, and the layers behind it so far
    part = None  # what "?" and "*" would apply to: the layers of a word, or of a bracket just closed
    tokens = [(match.group(), match.start()) for match in TOKEN.finditer(pattern)] + [("the end", len(pattern))]
    unknown = set(repeats) - {token for token, _ in tokens}
    if unknown:
        raise TypeError(f"{sorted(unknown)[0]} is neither an argument of build nor a letter of the pattern {pattern!r}")
    tokens = iter(tokens)
    for token, position in tokens:
        first = len(open_brackets) == 1 and not open_brackets[0][1]
        if part is None:
            if token == "INPUT" or first:
                if token != "INPUT" or not first:
                    problem = "a pattern begins with INPUT" if first else "INPUT may stand at the beginning only"
                    raise PatternError(f"{problem}, here is {token}", pattern, position)
                part = [(token, position)]
            elif token == "[":
                open_brackets.append((position, []))
            elif token in LAYERS:
                part = [(token, position)]
            else:
                raise PatternError(f"expected {', '.join(LAYERS)} or [, found {token}", pattern, position)
        elif token == "?":
            if [word for word, _ in part] != ["POOL"] or pattern[position - 1] == "]":
                raise PatternError("? may follow POOL only", pattern, position)
            part = part if pool else []
        elif token == "*":
            if part and part[0][0] == "INPUT":
                raise PatternError("INPUT cannot be repeated", pattern, position)
            token, position = next(tokens)
            count = repeats.get(token, token)
            if isinstance(count, str) and re.fullmatch("[0-9]{1,9}", count):
                count = int(count)
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                hint = f", or give it a value: build(…, {token}=2)" if token.isalpha() else ""
                raise PatternError(f"expected how often, a number from 0, found {count}{hint}", pattern, position)
            if len(part) * count > MOST_LAYERS:
                raise PatternError(f"that makes {len(part) * count} layers, more than {MOST_LAYERS}", pattern, position)
            part = part * count
        elif token in ("->", "]", "the end"):
            open_brackets[-1][1].extend(part)
            part = None
            if token == "]":
                if len(open_brackets) == 1:
                    raise PatternError("this ] closes no [", pattern, position)
                part = open_brackets.pop()[1]
            elif token == "the end":
                if len(open_brackets) > 1:
                    raise PatternError("this [ is never closed", pattern, open_brackets[-1][0])
        else:
            raise PatternError(f"expected ->, found {token}", pattern, position)
    return open_brackets[0][1]


def _one_each(values, count, name, layers):
    if isinstance(values, int):
        _check_positive(values, name)
        values = [values] * count
    if not isinstance(values, (tuple, list)):
        raise TypeError(f"{name} must be an integer or a sequence of integers, got {values!r}")
    for value in values:
        _check_positive(value, f"each of {name}")
    if len(values) != count:
        raise ValueError(f"the pattern has {count} {layers}, repetitions written out, but {name} names {len(values)}")
    return values


def _check_positive(value, name):
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
