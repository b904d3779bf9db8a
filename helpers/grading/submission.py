"""A notebook that somebody handed in: read as JSON that nobody vouches for, down to the source of its code cells."""

import hashlib
import json
import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

LARGEST_FILE = 100 * 2**20  # bytes: a notebook with many pictures has a few MB
LARGEST_SOURCE = 2**20  # characters of code in one notebook
MOST_MAGICS = 100  # lines in one cell: IPython takes minutes for a thousand

# Cell magics whose cell is ordinary Python all the same.
TRANSPARENT_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")


class Unreadable(Exception):
    """What was handed in is no notebook that can be graded; the message says why."""


@dataclass(frozen=True)
class Cell:
    """The code of one cell; ``number`` counts the code cells from 1, as a reader of the notebook sees them."""

    number: int
    source: str


@dataclass(frozen=True)
class Submission:
    """The code cells of a notebook in their order, what was skipped, and the sha256 of the file."""

    cells: list[Cell]
    notices: list[str]
    checksum: str


def read(path):
    """Read the code cells of a notebook.

    Outputs, metadata and the order of execution are not looked at. Magics and shell lines become notices.

    Parameters
    ----------
    path : path of a file

    Returns
    -------
    Submission

    Raises
    ------
    Unreadable
        If it is a link, no file, too large, or no notebook.
    """
    content = _content(Path(path))
    checksum = hashlib.sha256(content).hexdigest()
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"This is not a notebook: it cannot be read as JSON ({error}). Save it again.") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise Unreadable(
            'This is not a notebook of today\'s format: it has no list of "cells". Save it again in Jupyter.'
        )
    found, notices, total = [], [], 0
    for cell in cells:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        number = len(found) + 1
        source = cell.get("source")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            notices.append(f"Code cell {number} has no text and was skipped.")
            source = ""
        total += len(source)
        if total > LARGEST_SOURCE:
            raise Unreadable(f"The notebook holds more than {LARGEST_SOURCE:,} characters of code.")
        found.append(Cell(number, _python(source, number, notices)))
    return Submission(found, notices, checksum)


def _content(path):
    try:
        # A link could name any file of the grader's machine, and a pipe would never end.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        why = "it is a link, and links are not followed" if path.is_symlink() else error.strerror
        raise Unreadable(f"{path.name} cannot be opened: {why}.") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Unreadable(f"{path.name} is not a file.")
    with open(descriptor, "rb") as file:
        if status.st_size > LARGEST_FILE:
            raise Unreadable(
                f"{path.name} is larger than {LARGEST_FILE // 2**20} MB: clear its outputs and save it again."
            )
        try:
            return file.read(LARGEST_FILE)
        except OSError as error:
            raise Unreadable(f"{path.name} cannot be read: {error.strerror}.") from None


def _python(source, number, notices):
    # Notebook source to Python: IPython turns each magic into a call of get_ipython(), which later nobody runs.
    lines = source.splitlines(keepends=True)
    first = next((index for index, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].startswith("%%"):
        magic = lines[first].split()[0]
        notices.append(f"Cell {number}: the magic {magic} was skipped.")
        if magic not in TRANSPARENT_MAGICS:
            return ""
        lines[first] = "\n"
        source = "".join(lines)
    special = sum(
        line.lstrip().startswith(("%", "!", "?")) or line.rstrip().endswith("?") or "= !" in line or "= %" in line
        for line in lines
    )
    if special > MOST_MAGICS:
        notices.append(f"Cell {number}: more than {MOST_MAGICS} lines look like magics; none of them was skipped.")
    if not 0 < special <= MOST_MAGICS:
        return source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            python = TransformerManager().transform_cell(source)
    except Exception:  # a cell with a mistake in it: the compiler will say where
        return source
    if "get_ipython()" in python and "get_ipython()" not in source:
        notices.append(f"Cell {number}: a magic or a shell command was skipped.")
    return python
