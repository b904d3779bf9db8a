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


class TrainingWatch:
    """Notes every backward pass of a network while it is trained by somebody else's loop.

    ``steps`` is a list of ``[batch, training, stale]``: the images in the pass, the network's mode in it, and whether
    gradients of before the last update were still there when the pass began (``zero_grad`` was forgotten). Several
    backward passes between two updates are no fault: that is gradient accumulation.

    Parameters
    ----------
    network : torch.nn.Module
    """

    def __init__(self, network):
        self.steps = []
        self._last = (0, network.training)
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._handles = [network.register_forward_pre_hook(self._forward)]
        if weights:
            # One is enough, and a small one costs nothing: zero_grad clears all or none.
            self._weight = min(weights, key=lambda weight: (weight.numel() < 8, weight.numel()))
            self._before = self._weight.detach().clone()
            self._handles.append(self._weight.register_hook(self._backward))

    def _forward(self, network, inputs):
        if torch.is_grad_enabled() and inputs and isinstance(inputs[0], torch.Tensor):
            self._last = (len(inputs[0]), network.training)

    def _backward(self, gradient):
        if len(self.steps) < LONGEST:
            updated = not torch.equal(self._weight.detach(), self._before)
            left = self._weight.grad
            self.steps.append([*self._last, bool(updated and left is not None and left.any())])
            self._before = self._weight.detach().clone()

    def stop(self):
        """Take the hooks off again."""
        for handle in self._handles:
            handle.remove()
