"""What happens while the learner's code runs: which operators, and how its training loop treats gradients and modes."""

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode

LONGEST = 1000  # recorded training steps


class Operators(TorchDispatchMode):
    """While active, counts the ATen operators that run, forward and backward; ``count`` maps names to numbers."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # else the first operator imports torch's compiler, which takes seconds

    def __torch_dispatch__(self, operator, types, arguments=(), settings=None):
        self.count[operator._schema.name.removeprefix("aten::")] += 1
        return operator(*arguments, **(settings or {}))


def training(network):
    """Note every backward pass of a network while it is trained by somebody else's loop.

    The notes are kept in a closure: the hooks that a network carries lead nobody to an object that holds them.

    Parameters
    ----------
    network : torch.nn.Module

    Returns
    -------
    callable
        ``stop()`` takes the hooks off and gives a list of ``[batch, training, stale]``: the images in the pass, the
        network's mode in it, and whether gradients of before the last update were still there when the pass began
        (``zero_grad`` was forgotten). Several backward passes between two updates are no fault: that is gradient
        accumulation. Where weights changed and no backward pass was seen (``torch.func.grad`` works on others'
        weights), the passes forward are noted.
    """
    steps, forwards, last = [], [], None
    watched, before = None, None
    ready = [weight for weight in network.parameters() if not torch.nn.parameter.is_lazy(weight)]
    weights = [weight for weight in ready if weight.requires_grad]
    first = [(weight, weight.detach().clone()) for weight in weights]

    def forward(network, inputs):
        nonlocal last
        if torch.is_grad_enabled() and inputs and isinstance(inputs[0], torch.Tensor):
            last = (len(inputs[0]), network.training)
            if len(forwards) < LONGEST:
                forwards.append([*last, False])

    def hook(weight):
        def backward(gradient):
            nonlocal watched, before, last
            if watched is None:
                watched, before = weight, weight.detach().clone()
            if weight is watched and len(steps) < LONGEST:
                updated = not torch.equal(weight.detach(), before)
                # Who calls model.forward(...) passes the hook before it by: then the mode of this moment is all
                # that there is.
                pass_before = last or (0, network.training)
                steps.append([*pass_before, bool(updated and weight.grad is not None and weight.grad.any())])
                before, last = weight.detach().clone(), None

        return weight.register_hook(backward)

    # Not every weight need have a part in the output: the first that gets a gradient is watched from then on. One is
    # enough, for zero_grad clears all or none, and it should not be so small that an update can miss it.
    large = [weight for weight in weights if weight.numel() >= 8] or weights
    handles = [network.register_forward_pre_hook(forward), *map(hook, large)]

    def stop():
        for handle in handles:
            handle.remove()
        if not steps and any(not torch.equal(weight.detach(), at_first) for weight, at_first in first):
            return forwards or [[0, network.training, False]]
        return steps

    return stop
