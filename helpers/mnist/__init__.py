"""MNIST, all 70,000 digits, from the files beside this module: nothing is downloaded.

The images are by Y. LeCun, C. Cortes and C. J. C. Burges (CC BY-SA 3.0).
The four files hold the official data, recompressed.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import platformdirs
import torch
from torchvision import datasets
from torchvision.datasets.utils import extract_archive

PACKAGE_FOLDER = Path(__file__).parent
CACHE_VARIABLE = "CONVOLUTION_BY_HAND_CACHE"

# name of the compressed file: (md5 of the file beside this module, md5 of what is inside)
CHECKSUMS = {
    "train-images-idx3-ubyte.gz": ("c7dfcf1bfd3481a40f7b3aedbdbd083c", "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte.gz": ("d289298a347a2cc65765a3c81043ba88", "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte.gz": ("ecff87aa27c74fbc2c1f97e89c19221d", "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte.gz": ("a38049bc042dc6e683842a84160daae1", "27ae3e4e09519cfbb04c329615203637"),
}


class MNIST(datasets.MNIST):
    """torchvision's MNIST data set, fed from this package instead of the network.

    The first use unpacks the files (55 MB) into a cache folder, later uses read them from there; every use checks them.

    Parameters
    ----------
    root : path, optional
        The cache folder; else the environment variable CONVOLUTION_BY_HAND_CACHE names it, else it is the user's own.
    train, transform, target_transform
        As in ``torchvision.datasets.MNIST``. ``data`` has shape (60000, 28, 28) or (10000, 28, 28) and dtype uint8.

    Raises
    ------
    RuntimeError
        If a file is missing or damaged, or the cache folder cannot be written; the message says which and what to do.
    """

    mirrors = []  # where torchvision would download from: nowhere
    resources = [(name, packed) for name, (packed, _) in CHECKSUMS.items()]

    def __init__(self, root=None, train=True, transform=None, target_transform=None):
        root = root or os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_path("convolution-by-hand")
        super().__init__(Path(root).expanduser(), train, transform, target_transform, download=True)

    def download(self):
        """Check the package's files, and unpack them if this cache folder does not have them yet."""
        remedy = "install the course's helpers package again (or: git checkout helpers/mnist)"
        for name, (packed, _) in CHECKSUMS.items():
            _check(PACKAGE_FOLDER / name, packed, remedy)
        raw = Path(self.raw_folder)
        try:
            if not raw.exists():
                self._unpack(raw)
        except OSError as error:
            raise RuntimeError(
                f"cannot write the cache folder {self.root} ({error.strerror}): "
                f"name another one in the environment variable {CACHE_VARIABLE}"
            ) from None
        for name, (_, unpacked) in CHECKSUMS.items():
            _check(raw / Path(name).stem, unpacked, f"delete the folder {raw} and run this again")

    def _unpack(self, raw):
        # Unpacked aside and moved in one step: nobody ever sees half a file, not even a second process doing the same.
        raw.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=raw.parent) as scratch:
            complete = Path(scratch, "raw")
            complete.mkdir()
            for name in CHECKSUMS:
                extract_archive(PACKAGE_FOLDER / name, complete)
            try:
                complete.rename(raw)
            except OSError:
                if not raw.exists():
                    raise


def load(split, root=None):
    """Load one split of MNIST as two tensors.

    Parameters
    ----------
    split : {"train", "test"}
    root : path, optional
        The cache folder, see :class:`MNIST`.

    Returns
    -------
    images : torch.Tensor
        Shape (60000, 1, 28, 28) for "train" and (10000, 1, 28, 28) for "test", float32, from 0 (background) to 1 (ink).
    labels : torch.Tensor
        Shape (60000,) or (10000,), int64, the digits 0 to 9.

    Raises
    ------
    ValueError
        If ``split`` is neither "train" nor "test".
    RuntimeError
        As :class:`MNIST` does.
    """
    if split not in ("train", "test"):
        raise ValueError(
            f'unknown split {split!r}: MNIST has the splits "train" (60,000 images) and "test" (10,000 images)'
        )
    digits = MNIST(root, train=split == "train")
    return digits.data.unsqueeze(1).to(torch.float32) / 255, digits.targets


def _check(path, md5, remedy):
    if not path.exists():
        raise RuntimeError(f"the MNIST file {path} is missing: {remedy}")
    # Against damage, not against malice: md5 is what MNIST is published with.
    if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != md5:
        raise RuntimeError(f"the MNIST file {path} is damaged (its checksum is wrong): {remedy}")
