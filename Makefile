# What there is to do: make help. On Windows the same steps are in README.md, as plain python commands.

PYTHON ?= python3
# TORCH=cpu: on Linux without a graphics card, a torch of 0.2 GB instead of 5.
TORCH ?= default
RUN := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help book test notebook exercises grade clean-notebooks bench environment

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-22s %s\n", $$1, $$2 }'

# A thread of torch that has to wait sleeps instead of spinning, which on a busy machine is up to ten times faster.
# (With idle cores many small operations are slower so: not for make notebook.)
book test: export OMP_WAIT_POLICY = PASSIVE

book: environment  ## Run the notebooks that changed and write the pages: _build/html/index.html
	@$(RUN) -m tools.build_book

# Quick checks first; the first one that fails ends it. Bars that nobody watches are off. Two processes share the tests,
# file by file, since much of what they do waits for another process: a kernel, a browser, a submission that is graded.
test: export TQDM_DISABLE = 1
test: environment  ## Check everything that CI checks
	$(RUN) tools/clean_notebooks.py --check
	$(RUN) -m helpers.grading.build --check
	$(RUN) -c "from tools import build_book; build_book.install_node_packages()"
	$(RUN) -m pytest -n 2 --dist loadfile tests --ignore=tests/test_pages.py
	$(RUN) -m pytest -n 2 --dist loadfile --nbval chapters/
	$(RUN) -m tools.build_book
	$(RUN) -m pytest -n 2 tests/test_pages.py

exercises: environment  ## Make exercises/ from solutions/
	@$(RUN) -m helpers.grading.build

grade: environment  ## Grade both home experiments in exercises/
	@$(RUN) -m helpers.grading exercises/01_mnist_cnn.ipynb
	@$(RUN) -m helpers.grading exercises/02_conv2d.ipynb

notebook: environment  ## Open the chapters in JupyterLab
	@$(RUN) -m jupyterlab --notebook-dir=chapters

clean-notebooks: environment  ## Take outputs and counts out of the notebooks, as git keeps them
	@$(RUN) tools/clean_notebooks.py

bench: environment  ## Measure our Conv2D against torch's (six minutes, on an idle machine): results/conv2d.json
	@$(RUN) benchmarks/conv2d.py

# The copy of the lock is made last, so that an interrupted set-up is done again; contents are compared, not times.
environment:
	@cmp -s requirements.txt .venv/requirements.txt || $(MAKE) --no-print-directory install

.PHONY: install
install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The course needs Python 3.11 or later, and '$(PYTHON)' is not that. Install one, or name it: make PYTHON=python3.12 book"; \
	  exit 1; }
	@echo "Setting up .venv (some minutes the first time) ..."
	@$(PYTHON) -m venv .venv
	@rm -f .venv/requirements.txt
ifeq ($(TORCH),cpu)
	@$(RUN) -m pip install --quiet --disable-pip-version-check uv
	@grep -Ev '^(nvidia|cuda|triton)' requirements.txt > .venv/requirements-cpu.txt
	@$(RUN) -m uv pip install --torch-backend=cpu --python .venv -r .venv/requirements-cpu.txt
else
	@$(RUN) -m pip install --disable-pip-version-check --progress-bar on -r requirements.txt
endif
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@cp requirements.txt .venv/requirements.txt
