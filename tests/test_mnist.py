"""helpers.mnist: the real digits, from the package alone, and a clear word when something is wrong with them."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers import mnist

FILES = sorted(mnist.CHECKSUMS)


@pytest.fixture
def package_folder(tmp_path, monkeypatch):
    """A copy of the package's four files that a test may damage, in use instead of them."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name in FILES:
        shutil.copy(mnist.PACKAGE_FOLDER / name, folder)
    monkeypatch.setattr(mnist, "PACKAGE_FOLDER", folder)
    return folder


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def start_python(code, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


# ---- the data


@pytest.mark.row("R1")
@pytest.mark.parametrize("split, count", [("train", 60_000), ("test", 10_000)])
def test_images_and_labels_have_the_promised_shapes_dtypes_and_ranges(split, count):
    images, labels = mnist.load(split)
    assert images.shape == (count, 1, 28, 28) and images.dtype == torch.float32
    assert labels.shape == (count,) and labels.dtype == torch.int64
    assert (images.min(), images.max()) == (0, 1)
    assert (labels.min(), labels.max()) == (0, 9)


@pytest.mark.row("R1")
@pytest.mark.parametrize(
    "split, counts",
    [
        ("train", [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        ("test", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    ],
)
def test_every_digit_is_there_as_often_as_in_the_published_data(split, counts):
    _, labels = mnist.load(split)
    assert labels.bincount().tolist() == counts


# md5 of the official IDX files, uncompressed: a header of 16 (images) or 8 (labels) bytes, then one byte a value.
@pytest.mark.parametrize(
    "split, images_md5, labels_md5",
    [
        ("train", "6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
        ("test", "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
    ],
)
def test_the_tensors_hold_the_official_files_byte_for_byte(split, images_md5, labels_md5):
    images, labels = mnist.load(split)
    count = len(images)
    header = b"".join(number.to_bytes(4, "big") for number in (0x0803, count, 28, 28))
    pixels = (images * 255).round().to(torch.uint8).numpy().tobytes()
    assert hashlib.md5(header + pixels).hexdigest() == images_md5
    header = b"".join(number.to_bytes(4, "big") for number in (0x0801, count))
    assert hashlib.md5(header + labels.to(torch.uint8).numpy().tobytes()).hexdigest() == labels_md5


def test_the_data_set_works_as_torchvisions_does():
    digits = mnist.MNIST(train=False)
    image, label = digits[0]
    assert len(digits) == 10_000 and image.size == (28, 28) and label == 7


def test_nothing_is_ever_asked_of_a_network(package_folder, cache, monkeypatch):
    def refuse(*arguments, **settings):
        raise AssertionError("the loader used the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert mnist.MNIST.mirrors == []
    assert len(mnist.load("test", root=cache)[0]) == 10_000
    (package_folder / FILES[0]).unlink()
    with pytest.raises(RuntimeError, match="missing"):
        mnist.load("test", root=cache)


# ---- the cache folder


def test_the_cache_folder_is_the_argument_else_the_variable(cache, tmp_path, monkeypatch):
    monkeypatch.setenv(mnist.CACHE_VARIABLE, str(tmp_path / "variable"))
    mnist.load("test", root=cache)
    assert cache.exists() and not (tmp_path / "variable").exists()
    mnist.load("test")
    assert (tmp_path / "variable").exists()


def test_a_second_load_reads_what_the_first_unpacked(cache):
    first = mnist.load("test", root=cache)
    unpacked = sorted(cache.rglob("*ubyte"))
    before = [path.stat().st_mtime_ns for path in unpacked]
    second = mnist.load("test", root=cache)
    assert [path.stat().st_mtime_ns for path in unpacked] == before and len(unpacked) == 4
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(first, second))


def test_two_processes_that_load_for_the_first_time_at_once_both_succeed(cache, tmp_path):
    # Each says when it is ready, and both begin when the other one is.
    code = """
import sys, time
from pathlib import Path
from helpers import mnist
mine, others, cache = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
mine.touch()
while not others.exists(): pass
print(len(mnist.load("train", root=cache)[0]), len(mnist.load("test", root=cache)[0]))
"""
    for attempt in range(2):
        flags = [tmp_path / f"first {attempt}", tmp_path / f"second {attempt}"]
        folder = cache / str(attempt)
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, mine, others, folder],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for mine, others in (flags, reversed(flags))
        ]
        for process in processes:
            assert process.communicate(timeout=120) == ("60000 10000\n", "")
        assert len(list(folder.rglob("*ubyte"))) == 4
        assert [path.name for path in (folder / "MNIST").iterdir()] == ["raw"]  # no scratch folder is left


def test_the_loser_of_the_race_takes_what_the_winner_unpacked(cache, monkeypatch):
    unpack = mnist.extract_archive

    def slow(*arguments):
        # While we unpack our last file, another process finishes.
        if arguments[0].name == list(mnist.CHECKSUMS)[-1]:
            monkeypatch.setattr(mnist, "extract_archive", unpack)
            mnist.load("test", root=cache)
        return unpack(*arguments)

    monkeypatch.setattr(mnist, "extract_archive", slow)
    assert len(mnist.load("test", root=cache)[0]) == 10_000
    assert [path.name for path in (cache / "MNIST").iterdir()] == ["raw"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_unpack_leaves_nothing_half_written(cache, monkeypatch, interruption):
    unpack = mnist.extract_archive

    def stop_at_the_third(*arguments):
        if arguments[0].name == list(mnist.CHECKSUMS)[2]:
            raise interruption
        return unpack(*arguments)

    monkeypatch.setattr(mnist, "extract_archive", stop_at_the_third)
    with pytest.raises((KeyboardInterrupt, RuntimeError)) as stopped:
        mnist.load("test", root=cache)
    if isinstance(interruption, OSError):
        assert "No space left on device" in str(stopped.value) and str(cache) in str(stopped.value)
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    assert len(mnist.load("test", root=cache)[0]) == 10_000


def test_a_process_killed_while_unpacking_does_no_harm(cache):
    code = f"""
import os, signal
from helpers import mnist
unpack = mnist.extract_archive
def die(*arguments):
    unpack(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
mnist.extract_archive = die
mnist.load("test", root={str(cache)!r})
"""
    process = start_python(code)
    process.communicate(timeout=120)
    assert process.returncode == -9
    assert not (cache / "MNIST" / "raw").exists()
    assert len(mnist.load("test", root=cache)[0]) == 10_000


def test_a_cache_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    with pytest.raises(RuntimeError, match="cannot write the cache folder") as raised:
        mnist.load("test", root=blocked / "cache")
    message = str(raised.value)
    assert str(blocked / "cache") in message and mnist.CACHE_VARIABLE in message and "\n" not in message


@pytest.mark.parametrize("damage", ["cut", "changed", "deleted"])
def test_a_damaged_cache_is_an_error_that_says_what_to_delete(cache, damage):
    mnist.load("test", root=cache)
    path = cache / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "changed":
        content[5000] ^= 1
        path.write_bytes(content)
    else:
        path.unlink()
    with pytest.raises(RuntimeError, match=re.escape(str(path))) as raised:
        mnist.load("test", root=cache)
    assert f"delete the folder {path.parent}" in str(raised.value)
    shutil.rmtree(path.parent)  # doing what it says helps
    assert len(mnist.load("test", root=cache)[0]) == 10_000


# ---- damaged data in the package


def damage_file(path, damage):
    content = bytearray(path.read_bytes())
    if damage == "first byte deleted":
        path.write_bytes(content[1:])
    elif damage == "last byte deleted":
        path.write_bytes(content[:-1])
    elif damage == "one byte changed":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "missing":
        path.unlink()


@pytest.mark.parametrize("cache_is_filled", [False, True])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damage", ["first byte deleted", "last byte deleted", "one byte changed", "emptied", "missing"]
)
def test_a_damaged_file_is_a_one_line_error_that_names_it(package_folder, cache, damage, name, cache_is_filled):
    if cache_is_filled:
        mnist.load("test", root=cache)
    damage_file(package_folder / name, damage)
    with pytest.raises(RuntimeError) as raised:
        mnist.load("test", root=cache)
    message = str(raised.value)
    assert str(package_folder / name) in message and "\n" not in message
    assert ("missing" if damage == "missing" else "damaged") in message
    assert "install the course's helpers package again" in message
    assert raised.value.__cause__ is None and raised.value.__context__ is None
    assert cache_is_filled or not cache.exists()


def test_a_deleted_byte_ends_a_script_with_one_reason_and_nothing_of_gzip(package_folder, cache):
    path = package_folder / "train-labels-idx1-ubyte.gz"
    damage_file(path, "last byte deleted")
    code = f"""
from pathlib import Path
from helpers import mnist
mnist.PACKAGE_FOLDER = Path({str(package_folder)!r})
mnist.load("train", root={str(cache)!r})
"""
    process = start_python(code)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 1 and output == ""
    assert errors.strip().splitlines()[-1].startswith(f"RuntimeError: the MNIST file {path} is damaged")
    assert "gzip" not in errors and "During handling" not in errors


@pytest.mark.parametrize("split", ["validation", "Train", "", None, True])
def test_an_unknown_split_is_refused_by_name(split, cache):
    with pytest.raises(ValueError, match=re.escape(f"unknown split {split!r}")):
        mnist.load(split, root=cache)
    assert not Path(cache).exists()
