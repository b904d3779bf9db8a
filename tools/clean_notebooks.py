"""Keep the notebooks in git clean: small text outputs that stay the same, and nothing of the machine that made them.

From the repository, over every notebook of ``chapters/``, ``solutions/`` and ``exercises/``, or over the paths named:

    python tools/clean_notebooks.py              clean what can be cleaned, say what only an author can mend
    python tools/clean_notebooks.py --check      change nothing, say what is not clean
    python tools/clean_notebooks.py --execute    run the notebooks anew first: the one command that refreshes outputs

The exit status is 0 if all is clean at the end, 1 if something is not, 2 if the command cannot be understood.

Cleaning removes execution counts, images, HTML, widgets and stderr from outputs, and metadata that editors and kernels
leave. It also writes the first code cell, which lets a notebook run in Colab, from ``repository:`` in ``_config.yml``.
"""

import argparse
import copy
import json
import os
import re
import shutil
import sys
import tempfile
import uuid
from pathlib import Path

import nbformat
import nbformat.converter
import nbformat.reader
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("chapters", "solutions", "exercises")

NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT_CELL_METADATA = {"tags", "mystnb", "nbgrader"}
KEPT_MIME_TYPES = {"text/plain", "text/markdown", "text/latex"}
WIDGET = "application/vnd.jupyter.widget-view+json"

COLAB_TAGS = ["colab", "remove-cell"]
COLAB_CELL = """\
# Written by tools/clean_notebooks.py: finds the course's package, in Colab by installing it.
import importlib.util

if importlib.util.find_spec("helpers") is None:
    {remedy}"""
INSTALL = "%pip install --quiet git+{address}"
NO_ADDRESS = """raise ModuleNotFoundError(
        "The course's package `helpers` is not in this Python: run `make notebook` in the course's folder, "
        "or choose the Python of its .venv as the kernel."
    )"""

ABSOLUTE_PATH = re.compile(r"""(?:^|[\s'"(=\[:,]|file://)((?:/[\w.+-]+){2,}|[A-Z]:\\[\w.\\+-]+)""", re.MULTILINE)
MEMORY_ADDRESS = re.compile(r"\bat (0x[0-9a-fA-F]{6,})")
FENCE = re.compile(
    r"^ *(?P<fence>`{3,}|~{3,})(?P<info>.*)\n(?P<body>(?:.*\n)*?) *(?P=fence)[`~]* *$",
    re.MULTILINE,
)
# A sentence ends in a word of two letters or more, and the next begins with a capital letter.
SENTENCE_END = re.compile(r"""(\w*[\w)\]])[.!?]["'”’)]*\s+["'“‘(*_]*[A-Z]""")
ABBREVIATIONS = set("al approx ca cf ch dr ed eq etc fig no pp prof sec st vol vs".split())


class NotebookError(Exception):
    """Why a notebook cannot be cleaned, in one line."""


def colab_source(config_path=ROOT / "_config.yml"):
    """Write the first code cell of every notebook from the one setting, ``repository: url:``."""
    try:
        repository = yaml.safe_load(config_path.read_text(encoding="utf-8")).get("repository") or {}
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise SystemExit(f"{config_path}: cannot read the book's settings: {' '.join(str(error).split())}") from None
    url, branch = repository.get("url") or "", repository.get("branch") or ""
    if not url:
        return COLAB_CELL.format(remedy=NO_ADDRESS)
    address = f"{url}@{branch}" if branch else url
    if not re.fullmatch(r"(https|ssh|file)://[^\s'\"{}$;|&]+", address):
        raise SystemExit(f"{config_path}: repository url must look like https://github.com/owner/name, got {url!r}")
    return COLAB_CELL.format(remedy=INSTALL.format(address=address))


def read(path):
    """Read a notebook; return it and its text. Raises NotebookError if it is none."""
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except OSError as error:
        raise NotebookError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotebookError("is not UTF-8 text, so it is no notebook") from None
    except json.JSONDecodeError as error:
        remedy = "; an unfinished merge" if re.search(r"^<<<<<<< ", text, re.MULTILINE) else ""
        raise NotebookError(f"is broken JSON at line {error.lineno}: {error.msg}{remedy}; left untouched") from None
    try:
        notebook = nbformat.converter.convert(nbformat.reader.reads(text), 4)
        notebook.nbformat_minor = 5  # the first version with cell ids
        complete = copy.deepcopy(notebook)
        give_ids(complete)
        nbformat.validate(complete)
    except Exception as error:  # nbformat raises many kinds, from KeyError to its own
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NotebookError(f"is JSON but no notebook ({reason}); left untouched") from None
    return notebook, text


def give_ids(notebook):
    """Give an id to each cell that has none or another's; return the numbers of those cells, from 1."""
    seen, changed = set(), []
    for number, cell in enumerate(notebook.cells, 1):
        if not cell.get("id") or cell.id in seen:
            cell.id = uuid.uuid4().hex[:8]
            changed.append(number)
        seen.add(cell.id)
    return changed


def write_colab_cell(notebook, source):
    """Make the first code cell the one that finds ``helpers``; say whether something changed."""
    before = copy.deepcopy(notebook.cells)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not code:
        return False
    if "colab" not in code[0].metadata.get("tags", []):
        notebook.cells = [cell for cell in notebook.cells if "colab" not in cell.metadata.get("tags", [])]
        cell = nbformat.v4.new_code_cell(id="colab")
        # After the title, so that the page's first cell is its title.
        notebook.cells.insert(1 if notebook.cells and notebook.cells[0].cell_type != "code" else 0, cell)
        code = [cell]
    code[0].source = source
    code[0].metadata["tags"] = list(COLAB_TAGS)
    code[0].outputs = []
    return notebook.cells != before


def clean_outputs(outputs):
    """Return the outputs worth keeping, and names of what was removed from the others."""
    kept, removed = [], []
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stderr" or not output.text:
                removed.append("stderr" if output.name == "stderr" else "an empty output")
                continue
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
                removed.append("a break in stdout")
                continue
        elif output.output_type in ("display_data", "execute_result"):
            # A figure that readers move stands for itself in words; any other widget is gone without its kernel.
            if WIDGET in output.data and not output.data.get("text/plain", "").startswith("Explorable: "):
                removed.append("a widget")
                continue
            for mime_type in sorted(set(output.data) - KEPT_MIME_TYPES):
                removed.append(mime_type)
                del output.data[mime_type]
            if output.metadata:
                removed.append("output metadata")
                output.metadata = {}
            if output.get("execution_count") is not None:
                removed.append("execution count")
                output.execution_count = None
            if not output.data:
                removed.append("an empty output")
                continue
        kept.append(output)
    return kept, removed


def clean(notebook, source):
    """Clean a notebook in place, with ``source`` in its Colab cell; return what was changed, one line each."""
    changed = []
    if write_colab_cell(notebook, source):
        changed.append("the first code cell, for Colab, is missing or old")
    changed += [f"cell {number}: no id of its own" for number in give_ids(notebook)]
    metadata = {**NOTEBOOK_METADATA}
    if "mystnb" in notebook.metadata:
        metadata["mystnb"] = notebook.metadata["mystnb"]
    if notebook.metadata != metadata:
        extra = sorted(key for key in notebook.metadata if notebook.metadata[key] != metadata.get(key))
        changed.append(f"notebook metadata: {', '.join(extra) or 'kernelspec missing'}")
        notebook.metadata = nbformat.from_dict(metadata)
    for number, cell in enumerate(notebook.cells, 1):
        removed = []
        for key in sorted(set(cell.metadata) - KEPT_CELL_METADATA):
            # nbgrader locks cells with these two; editors write them without need, as true.
            if key in ("editable", "deletable") and cell.metadata[key] is False:
                continue
            removed.append(f"metadata {key!r}")
            del cell.metadata[key]
        if "tags" in cell.metadata and not cell.metadata.tags:
            removed.append("metadata 'tags', empty")
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            if cell.execution_count is not None:
                removed.append("execution count")
                cell.execution_count = None
            cell.outputs, from_outputs = clean_outputs(cell.outputs)
            removed += from_outputs
        if removed:
            changed.append(f"cell {number}: {', '.join(dict.fromkeys(removed))}")
    return changed


def problems(notebook):
    """Find what cleaning cannot mend, one line each."""
    found = []
    for number, cell in enumerate(notebook.cells, 1):
        if cell.get("attachments") or re.search(r"data:image/", cell.source):
            found.append(
                f"cell {number}: an image is embedded; compute it in a cell, or put a file beside the notebook"
            )
        if cell.cell_type == "markdown":
            for line in lines_with_two_sentences(cell.source):
                found.append(f"cell {number}: more than one sentence in the line {shorten(line)!r}")
        if cell.cell_type == "code" and (module := re.search(r"tqdm\.(auto|notebook)", cell.source)):
            found.append(
                f"cell {number}: uses {module[0]}, whose bar cannot be turned off; use `from tqdm import tqdm`"
            )
        for output in cell.get("outputs", []):
            text = output.get("text") or "\n".join(output.get("data", {}).values())
            if output.output_type == "error":
                found.append(f"cell {number}: ends in {output.ename}; catch the error and print its message")
            elif "Traceback (most recent call last)" in text:
                found.append(f"cell {number}: a traceback in the output; print the error's message alone")
            elif path := ABSOLUTE_PATH.search(text):
                found.append(f"cell {number}: the output holds the path {shorten(path[1])}; print its name alone")
            elif address := MEMORY_ADDRESS.search(text):
                found.append(f"cell {number}: the output holds the memory address {address[1]}, new in each run")
    return found


def prose_in_fence(block):
    """Return what stands in a directive such as a note, and nothing of a code block."""
    is_prose = re.match(r"\{(?!math|code|raw)", block["info"])
    return FENCE.sub(prose_in_fence, block["body"]) if is_prose else ""


def lines_with_two_sentences(markdown):
    """Yield the lines of prose that clearly hold more than one sentence; code, mathematics and tables are not prose."""
    prose = re.sub(r"\$\$.*?\$\$|<!--.*?-->", "", FENCE.sub(prose_in_fence, markdown), flags=re.DOTALL)
    for line in prose.splitlines():
        text = re.sub(r"^[\s>#*+-]*(\d+[.)]\s)?", "", line)
        if text.startswith(("|", "<", ":", "%")):
            continue
        text = re.sub(r"(\{[\w:-]+\})?(`+).+?\2", "code", text)
        text = re.sub(r"\$[^$]+\$", "math", text)
        text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "image", text)
        text = re.sub(r"\]\([^)]*\)", "]", text)
        for end in SENTENCE_END.finditer(text):
            word = end[1].strip(")]").lower()
            if word not in ABBREVIATIONS and (len(word) > 1 or word.isdigit() or end[1][-1] in ")]"):
                yield line
                break


def shorten(text, length=60):
    """Cut a text for a message that stays on one line."""
    return text if len(text) <= length else text[: length - 3] + "..."


def execute(notebook, path):
    """Run all cells in the notebook's folder, with a progress bar; outputs replace the old ones."""
    count = sum(cell.cell_type == "code" for cell in notebook.cells)
    with tqdm(total=count, desc=path.name, unit="cell") as progress:
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_executed=lambda **_: progress.update(),
        )
        try:
            client.execute(env={**os.environ, "TQDM_DISABLE": "1"})
        except CellExecutionError as error:
            states = [[output.output_type for output in cell.get("outputs", [])] for cell in notebook.cells]
            number = 1 + next(index for index, state in enumerate(states) if "error" in state)
            reason = shorten(" ".join(error.evalue.split()), 300)
            raise NotebookError(f"cell {number} fails with {error.ename}: {reason}; left untouched") from None
        except (CellTimeoutError, DeadKernelError) as error:
            raise NotebookError(f"{str(error).splitlines()[0]}; left untouched") from None


def to_text(notebook):
    """Return the one way to write this notebook down."""
    return nbformat.writes(notebook, version=4, indent=1).rstrip("\n") + "\n"


def replace(path, text):
    """Put a new text in a file's place in one step: whatever happens, the file is the old one or the new one."""
    path = path.resolve()
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        shutil.copymode(path, scratch)
        os.replace(scratch, path)
    except BaseException:
        os.unlink(scratch)
        raise


def find_notebooks(paths):
    """List the notebooks that the paths name, folders with all below them."""
    found = []
    for path in paths:
        if path.is_dir():
            found += sorted(each for each in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in each.parts)
        else:
            found.append(path)
    return found


def main(arguments=None):
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description="Clean the course's notebooks.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="change nothing, list what is not clean")
    mode.add_argument("--execute", action="store_true", help="run the notebooks anew before cleaning them")
    default = [ROOT / name for name in FOLDERS if (ROOT / name).is_dir()]
    parser.add_argument(
        "paths", nargs="*", type=Path, help="notebooks or folders (default: " + ", ".join(FOLDERS) + ")"
    )
    options = parser.parse_args(arguments)
    source = colab_source()
    paths = find_notebooks(options.paths or default)
    if not paths:
        parser.error(f"there is no notebook in {', '.join(map(str, options.paths)) or ', '.join(FOLDERS)}")

    unclean = 0
    for path in paths:
        shown = path.resolve().relative_to(ROOT) if path.resolve().is_relative_to(ROOT) else path
        try:
            notebook, text = read(path)
            changed = clean(notebook, source)
            if options.execute:
                execute(notebook, path)
                clean(notebook, source)
            cleaned = to_text(notebook)
            if cleaned != text and not options.check:
                replace(path, cleaned)
            remaining = problems(notebook)
        except (NotebookError, OSError) as error:
            remaining, changed, cleaned, text = [str(error)], [], "", ""
        if cleaned != text:
            if options.check:
                remaining = (changed or ["written in another way than `make clean-notebooks` writes"]) + remaining
            else:
                print(f"{shown}: {'executed' if options.execute else 'cleaned'}")
        for line in remaining:
            print(f"{shown}: {line}", file=sys.stderr)
        unclean += bool(remaining)
    if unclean:
        what = "`make clean-notebooks` cleans most of this" if options.check else "the rest is for an author to mend"
        print(f"{unclean} of {len(paths)} notebooks not clean: {what}", file=sys.stderr)
    return 1 if unclean else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Interrupted: each notebook is as it was, or finished.", file=sys.stderr)
        sys.exit(130)
