"""In Colab a notebook is all that a reader has: its first cell brings the rest.

Colab is played by a Python environment that has what Colab has (torch and Jupyter; here, those of this Python), but not
the course, a module ``google.colab``, an empty folder, and ``repository: url:`` set to the folder of this repository.
"""

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tools.clean_notebooks import colab_source

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A kernel whose Python is without the course: ``(folder of the kernel's name, first cell, folder to work in)``."""
    place = tmp_path_factory.mktemp("colab")
    venv.create(place / "environment", with_pip=True)
    python = place / "environment" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    site = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True).strip()
    # A line of a .pth file adds a folder, but not the .pth files in it: so not the course, which one of them names here.
    (Path(site) / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (Path(site) / "google" / "colab").mkdir(parents=True)
    (Path(site) / "google" / "colab" / "__init__.py").write_text("")
    (place / "_config.yml").write_text(f"repository:\n  url: {ROOT.as_uri()}\n")
    work = place / "content"
    work.mkdir()
    without = subprocess.run([python, "-P", "-c", "import torch, google.colab, helpers"], cwd=work, capture_output=True, text=True)
    assert "No module named 'helpers'" in without.stderr
    kernel = {"argv": [str(python), "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Colab", "language": "python"}
    (place / "kernels" / "colab").mkdir(parents=True)
    (place / "kernels" / "colab" / "kernel.json").write_text(json.dumps(kernel))
    return place, colab_source(place / "_config.yml"), work


def test_an_experiment_needs_nothing_but_its_notebook(colab, monkeypatch):
    place, first_cell, work = colab
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("JUPYTER_PATH", str(place))
    notebook = nbformat.read(ROOT / "solutions" / "02_conv2d.ipynb", as_version=4)
    # Up to the comparison with the built-in layer: rungs 1 to 8 and their checks.
    end = next(i for i, cell in enumerate(notebook.cells) if "Comparison with the built-in" in cell.source)
    notebook.cells = notebook.cells[:end]
    for cell in notebook.cells:
        if "colab" in cell.metadata.get("tags", []):
            cell.source = first_cell
    where = nbformat.v4.new_code_cell("import helpers\nprint(helpers.__file__)")
    notebook.cells.append(where)
    NotebookClient(notebook, timeout=400, kernel_name="colab", resources={"metadata": {"path": str(work)}}).execute()
    assert str(ROOT) not in where.outputs[0].text
    assert any("Rung 8: passed" in output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
