"""An answer compared with what is right; a wrong one, with what known mistakes would give for the same inputs."""

import torch

from helpers.grading.experiments import Foreign, Raised, Wrong

TURNED = (
    "The kernel is turned by 180°.",
    "PyTorch does not turn it: kernel[0, 0] lies on the top left cell of the window.",
)
BIAS_ONCE = "bias[o] belongs to the whole map o: bias[:, None, None] has the shape for that."
PAIR = "A pair is (rows, columns). F.pad is the exception: it wants the columns first."
NO_TENSOR = {
    "NoneType": "Does the function end in return?",
    "float": "Leave out .item() or float(): the result stays a tensor.",
    "int": "Leave out .item() or int(): the result stays a tensor.",
    "list": "Make one tensor of the list: torch.stack(list).",
    "tuple": "Make one tensor of it: torch.stack(list).",
    "ndarray": "Stay with tensors: torch.from_numpy makes one of an array, but gradients do not pass through NumPy.",
}


def compare(answer, expected, mistakes=(), where="", wrong_shape="Compute rows and columns on paper for this size."):
    """Raise Wrong unless the answer is the expected tensor, naming the mistake that gives this answer.

    Parameters
    ----------
    answer : anything
    expected : torch.Tensor
    mistakes : list of ((message, hint), tensor)
        The first one whose tensor is the answer is named.
    where : str
        With which settings; added to the message.
    wrong_shape : str
        What to look at if the shape is wrong, and no mistake is known that gives it.
    """
    if not isinstance(answer, torch.Tensor):
        kind = answer.kind if isinstance(answer, Foreign) else type(answer).__name__
        raise Wrong(f"The answer is {kind} and not a tensor{where}.", NO_TENSOR.get(kind, ""))
    if not (answer.is_floating_point() and answer.isfinite().all()):
        raise Wrong(f"The answer holds numbers that are not finite, or whole numbers{where}.",
                    "new_zeros makes a tensor of the same type; torch.empty holds whatever was in memory.")  # fmt: skip

    def same(other):
        return answer.shape == other.shape and torch.allclose(answer.double(), other.double(), rtol=1e-4, atol=1e-4)

    if same(expected):
        return
    for (message, hint), wrong in mistakes:
        if same(wrong):
            raise Wrong(message.removesuffix(".") + f"{where}.", hint)
    if answer.shape != expected.shape:
        raise Wrong(f"The result has shape {tuple(answer.shape)}, expected {tuple(expected.shape)}{where}.", wrong_shape)
    off = ((answer.double() - expected.double()).abs() > 1e-4 + 1e-4 * expected.double().abs()).sum().item()
    raise Wrong(f"The shape is right, but {off} of {answer.numel()} numbers are not{where}.",
                "Compare with PyTorch on an input of zeros with a single 1 in it, and see where that 1 ends up; "
                "then on an input of zeros alone, which shows the bias.")  # fmt: skip


def compare_without_bias(worker, name, tensors, expected, **settings):
    """The same for a call that leaves out the bias."""
    try:
        answer = worker.call(name, *tensors, **settings)
    except Raised as error:
        if error.kind == "NotImplementedError":
            raise
        raise Wrong(f"Without a bias it fails: {error.text}", "bias=None is the default and means: no bias.") from None
    compare(answer, expected, where=", without a bias")


def normal(draw, *shape):
    """Random numbers, normally distributed."""
    return torch.randn(*shape, generator=draw)


def pair(setting):
    """A setting as (rows, columns)."""
    return (setting, setting) if isinstance(setting, int) else setting
