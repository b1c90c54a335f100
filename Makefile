# One command per task; continuous integration calls the same ones.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint check docs bench samples clean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# The stamp makes a finished installation a file, so that it is done again only when the project file changed.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "scarp needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

$(VENV)/.linters: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lint]'
	touch $@

demo: $(VENV)/.installed ## the main job on the sample data, from interferograms to a susceptibility report
	$(BIN)/python data_samples/demo.py

test: $(VENV)/.installed ## the test suite
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.installed ## the tests that take minutes
	$(BIN)/python -m pytest -n 2 -m slow

lint: $(VENV)/.linters ## ruff, mypy --strict, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: test lint ## everything a change must pass

bench: $(VENV)/.installed ## benchmarks, as ratios (long)
	$(BIN)/python benchmarks/inversion.py $(if $(MINTPY_BIN),--mintpy $(MINTPY_BIN))
	$(BIN)/python benchmarks/chain.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/coherence.py
	$(BIN)/python benchmarks/terrain.py
	$(BIN)/python benchmarks/slope.py
	$(BIN)/python benchmarks/prediction.py

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

docs: $(VENV)/.docs ## the documentation, into site/
	$(BIN)/mkdocs build --quiet

samples: $(VENV)/.installed ## make the sample data anew
	$(BIN)/python data_samples/make_samples.py

clean: ## remove what these tasks made
	rm -rf $(VENV) demo build dist site
