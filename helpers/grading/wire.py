"""How values travel between judge and worker: a frame of JSON and numpy's npz, never pickle.

A frame is a length (8 bytes), the length of its JSON (8 bytes), the JSON, and an npz archive of the tensors that the
JSON names. The reader refuses a frame that is larger than it allows, an archive that unpacks to more than that, and
whatever is not made of numbers, texts, None, lists, tuples, dictionaries and tensors.
"""

import io
import json
import struct
import zipfile

import numpy as np
import torch

from helpers.grading.experiments import Foreign

LARGEST = 128 * 2**20  # bytes of one frame
DEEPEST = 50


class BadFrame(Exception):
    """What came over the line is no frame of ours."""


class Packed:
    """A value that is ready for the line: whoever sends it runs no code of the value's own any more.

    Parameters
    ----------
    value : anything
    modules : callable, optional
        ``(object) -> handle or None`` for what stays on this side.
    """

    def __init__(self, value, modules=None):
        self.arrays = {}
        self.text = json.dumps(_encode(value, self.arrays, modules or (lambda _: None), 0))


def write(file, value, modules=None):
    """Send one value; ``modules`` as in :class:`Packed`. The value may be a dictionary with one that is packed."""
    packed = [each for each in value.values() if type(each) is Packed] if type(value) is dict else []
    arrays = dict(packed[0].arrays) if packed else {}
    text = json.dumps(_encode(value, arrays, modules or (lambda _: None), 0)).encode()
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    body = packed.getbuffer()
    file.write(struct.pack(">QQ", 8 + len(text) + len(body), len(text)) + text)
    file.write(body)
    file.flush()


def read(file, largest=LARGEST, modules=None):
    """Receive one value; None at the end of the line (a value of None cannot be sent alone).

    Parameters
    ----------
    file : binary file
    largest : int
        Bytes that a frame may have, packed and unpacked.
    modules : callable, optional
        ``(handle) -> object`` for what stayed here.

    Raises
    ------
    BadFrame
    """
    head = _exactly(file, 16)
    if not head:
        return None
    length, text_length = struct.unpack(">QQ", head)
    if text_length > length - 8:
        raise BadFrame("what came is no answer")
    if length > largest:
        raise BadFrame(f"an answer of {length / 2**20:.0f} MB is larger than the {largest / 2**20:.0f} MB allowed")
    text, body = _exactly(file, text_length), _exactly(file, length - 8 - text_length)
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            if sum(member.file_size for member in archive.infolist()) > largest:
                raise BadFrame("an answer unpacks to more than is allowed")
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            arrays = {name: torch.from_numpy(archive[name]) for name in archive.files}
        return _decode(json.loads(text), arrays, modules)
    except BadFrame:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a forged frame makes numpy or zipfile raise
        raise BadFrame(f"an answer cannot be read ({type(error).__name__}: {error})") from None


def _exactly(file, count):
    parts = []
    while count:
        part = file.read(min(count, 2**20))
        if not part:
            return b""
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _encode(value, arrays, modules, depth):
    kind, form = type(value), "tensor"  # not isinstance: a learner's class may say that it is anything
    if kind is Packed:
        return json.loads(value.text)
    if depth > DEEPEST:
        return {"foreign": "something nested too deeply"}
    if value is None or kind in (bool, int, str):
        return value if kind is not int or abs(value) < 2**63 else {"foreign": "an integer of more than 64 bits"}
    if kind is float:
        return {"float": value.hex()}
    if kind is bytes:
        return {"foreign": "bytes"}
    if kind in (list, tuple, torch.Size):
        return {"list" if kind is list else "tuple": [_encode(each, arrays, modules, depth + 1) for each in value]}
    if kind is dict:
        pairs = [
            [_encode(key, arrays, modules, depth + 1), _encode(each, arrays, modules, depth + 1)]
            for key, each in value.items()
        ]
        return {"dict": pairs}
    try:
        if torch.Tensor in kind.__mro__:
            # A child of Tensor has methods of its own; of those, none is asked.
            with torch._C.DisableTorchFunctionSubclass():
                tensor = torch.Tensor.detach(value).as_subclass(torch.Tensor).cpu()
                form = "bfloat16" if tensor.dtype is torch.bfloat16 else "tensor"  # NumPy does not have that type
                array = (tensor.view(torch.int16) if form == "bfloat16" else tensor).numpy(force=True)
        elif np.generic in kind.__mro__ and type(number := np.generic.item(value)) in (bool, int, float):
            return _encode(number, arrays, modules, depth)  # np.mean gives a float that is not Python's own
        elif kind is np.ndarray or np.generic in kind.__mro__:
            array = np.asarray(value)
        elif (handle := modules(value)) is not None:
            return {"module": handle}
        else:
            return {"foreign": kind.__name__}
        if array.dtype.hasobject or torch.from_numpy(np.atleast_1d(array)[:0].copy()) is None:
            return {"foreign": kind.__name__}
    except Exception:  # noqa: BLE001 - sparse, quantized, a broken subclass: not a tensor that we can compare
        return {"foreign": kind.__name__}
    name = f"tensor{len(arrays)}"
    arrays[name] = np.array(array, copy=True, order="C")
    return {form: name}


def _decode(value, arrays, modules):
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is not dict or len(value) != 1:
        raise BadFrame("an answer is not made as it should be")
    ((kind, content),) = value.items()
    if kind == "float":
        return float.fromhex(content)
    if kind == "list":
        return [_decode(each, arrays, modules) for each in content]
    if kind == "tuple":
        return tuple(_decode(each, arrays, modules) for each in content)
    if kind == "dict":
        return {_key(_decode(key, arrays, modules)): _decode(each, arrays, modules) for key, each in content}
    if kind == "tensor":
        return arrays[content]
    if kind == "bfloat16":
        return arrays[content].view(torch.bfloat16)
    if kind == "module" and modules is not None:
        return modules(content)
    return Foreign(str(content if kind == "foreign" else kind)[:100])


def _key(key):
    if type(key) in (type(None), bool, int, float, str, Foreign) or type(key) is tuple and all(map(_is_plain, key)):
        return key
    raise BadFrame("a dictionary has a key that is not a number or a text")


def _is_plain(value):
    return type(value) in (type(None), bool, int, float, str)
