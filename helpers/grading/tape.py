"""What a network computes, as a list of ATen operators that somebody else can run again.

The worker records one forward pass of the learner's network. The list, with the weights, is all that the judge counts
layers from, and it is checked: a second worker that never saw the learner's code runs the list on fresh images and must
get what the learner's network gives for them. So a list that was made up does not pay.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# What the second worker agrees to run beside torch's core set: arithmetic, shapes, and the layers of a classifier.
KNOWN = frozenset(
    """convolution addmm mm bmm matmul linear baddbmm addmv mv dot add sub mul div neg pow sqrt rsqrt exp log tanh
    sigmoid relu leaky_relu elu selu celu gelu silu mish hardtanh hardswish hardsigmoid softplus prelu _prelu_kernel
    clamp clamp_min clamp_max maximum minimum where abs sign sin cos erf reciprocal square view _unsafe_view reshape
    flatten permute transpose t expand squeeze unsqueeze slice select index cat stack split chunk unbind narrow
    clone contiguous detach alias copy _to_copy to lift_fresh lift_fresh_copy max_pool2d max_pool2d_with_indices
    avg_pool2d adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d mean sum amax amin max min var std
    var_mean native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training native_layer_norm
    native_group_norm _softmax _log_softmax constant_pad_nd pad dropout native_dropout eq ne gt ge lt le zeros ones
    full zeros_like ones_like full_like scalar_tensor arange empty empty_like fill zero _reshape_alias as_strided
    unfold bitwise_not logical_not eye new_zeros new_ones new_full embedding repeat flip roll masked_fill einsum
    norm linalg_vector_norm upsample_nearest2d reflection_pad2d replication_pad2d floor ceil round remainder sgn
    logsumexp cumsum prod diagonal tril triu index_select gather mkldnn_convolution _convolution
    cudnn_convolution log_sigmoid_forward glu rrelu_with_noise logaddexp pixel_shuffle pixel_unshuffle channel_shuffle
    native_channel_shuffle upsample_bilinear2d upsample_bicubic2d _weight_norm_interface avg_pool3d index_put lift any
    all _local_scalar_dense _unsafe_index _unsafe_index_put new_empty linalg_matrix_norm threshold log1p atan hardshrink
    softshrink vdot""".split()
)
LONGEST = 20_000  # operators
LARGEST_CONSTANTS = 64 * 2**20  # numbers


class Tape(TorchDispatchMode):
    """While active, writes down every operator; ``steps`` holds ``[name, arguments, settings, results]``.

    Parameters
    ----------
    known : dict of str to torch.Tensor
        The input, under ``"input"``, and the network's state.
    """

    def __init__(self, known):
        super().__init__()
        self.steps, self.constants = [], {}
        self._numbers = {id(tensor): name for name, tensor in known.items()}
        self._alive = list(known.values())  # else Python would give a dead tensor's id to a new one

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # else the first operator imports torch's compiler, which takes seconds

    def __torch_dispatch__(self, operator, types, arguments=(), settings=None):
        if len(self.steps) >= LONGEST:
            raise RuntimeError(f"one pass uses more than {LONGEST:,} operators")
        written = self.write(list(arguments)), self.write(dict(settings or {}))
        result = operator(*arguments, **(settings or {}))
        self.steps.append([str(operator), *written, self.write(result, made=True)])
        return result

    def write(self, value, made=False):
        """One argument or result as something that JSON and npz can hold."""
        if isinstance(value, torch.Tensor):
            if id(value) not in self._numbers:
                name = f"{'made' if made else 'constant'}.{len(self._numbers)}"
                self._numbers[id(value)] = name
                self._alive.append(value)
                if not made:
                    self.constants[name] = value.detach().clone()
            return {"ref": self._numbers[id(value)]}
        if isinstance(value, (list, tuple)):
            return [self.write(each, made) for each in value]
        if isinstance(value, dict):
            return {"dict": {name: self.write(each, made) for name, each in value.items()}}
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            return {"torch": str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return None
        return value


def is_known(function):
    """Whether an operator is run again: one of ``KNOWN``, of torch's core set, or one that works number by number."""
    space, name = function._schema.name.split("::")
    tags = {torch.Tag.core, torch.Tag.pointwise}
    return space == "aten" and (name.removesuffix("_") in KNOWN or bool(tags & set(function.tags)))


def play(steps, tensors, output):
    """Run a tape; gives the output and the shapes of all tensors by name.

    Parameters
    ----------
    steps : list
        As :class:`Tape` wrote them.
    tensors : dict of str to torch.Tensor
        Input, state and constants by name.
    output : str
        The name of the tensor to return.

    Returns
    -------
    (torch.Tensor, dict of str to list of int)

    Raises
    ------
    ValueError
        If the tape holds an operator that is not known, or does not run.
    """
    tensors = dict(tensors)
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    with torch.no_grad():
        for _ in _performed(steps, tensors):
            shapes |= {each: list(tensors[each].shape) for each in tensors.keys() - shapes.keys()}
    return tensors[output], shapes


def respond(steps, tensors, output, place, value, asked):
    """Run a tape in which one step gives other numbers, and see what then arrives at others.

    Parameters
    ----------
    steps, tensors, output
        As for :func:`play`.
    place : int
        The step that gives other numbers.
    value : torch.Tensor
        These numbers.
    asked : list of [int, str]
        Steps, and the name of the tensor to look at just before each.

    Returns
    -------
    list of torch.Tensor
        For each of the asked, and the output.
    """
    tensors, heard = {name: tensor.clone() for name, tensor in tensors.items()}, []
    asked = {step: name for step, name in asked}
    with torch.no_grad():
        for done in _performed(steps, tensors):
            if done == place:
                ((_, name),) = steps[place][3].items()
                tensors[name] = value.to(tensors[name].dtype)
            if done + 1 in asked:
                heard.append(tensors[asked[done + 1]].clone())
    return [*heard, tensors[output]]


def _performed(steps, tensors):
    # Runs one step after the other, on these tensors and adding to them; says the number of each that is done.

    def read(value):
        if isinstance(value, dict):
            ((kind, content),) = value.items()
            if kind == "ref":
                return tensors[content]
            if kind == "torch":
                return getattr(torch, content)
            return {name: read(each) for name, each in content.items()}
        return [read(each) for each in value] if isinstance(value, (list, tuple)) else value

    def keep(names, results):
        if isinstance(names, dict):
            tensors[names["ref"]] = results
        elif isinstance(names, list):
            for name, result in zip(names, results, strict=True):
                keep(name, result)

    for place, (name, arguments, settings, results) in enumerate(steps):
        space, operator, overload = name.split(".")
        function = getattr(getattr(torch.ops.aten, operator, None), overload, None) if space == "aten" else None
        if function is None or not is_known(function):
            raise ValueError(f"the operator {name} is not one that is run again")
        keep(results, function(*read(arguments), **read(settings)))
        yield place
