# Every target makes what it needs, in .venv, and says so. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
TESTS := $(BIN)/python -m pytest -q -n 2 --dist worksteal
.PHONY: help install demo test test-all test-gpu check format bench docs clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

install: $(VENV)/.installed-everything  ## what the other targets need, at once; each installs by itself what is missing

demo: $(VENV)/.installed  ## train on a real corpus with and without a CRF, compare, tag a text
	@$(BIN)/python scripts/demo.py

test: $(VENV)/.installed-test  ## the tests that need nothing but Python
	$(TESTS) -m "not slow"

test-all: test $(VENV)/.installed-test-all  ## those, the slow ones, and those of every extra
	$(TESTS) -m slow

test-gpu: $(VENV)/.installed-test  ## the tests that need a CUDA device
	$(BIN)/python -m pytest -q -m gpu

check: $(VENV)/.installed-check  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(VENV)/.installed-check  ## apply the format and the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-bench  ## the quick measurements; `python benchmarks/run.py --help` for the others
	$(BIN)/python benchmarks/run.py crf

docs: $(VENV)/.installed-docs  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:  ## remove what the targets made
	rm -rf $(VENV) site demo .pytest_cache .ruff_cache .hypothesis

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "the versions in constraints.txt need Python 3.11 or newer; say make PYTHON=python3.11 ...")'
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "Installing chaincrf and PyTorch into $(VENV): one to several minutes, once"
	@$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-everything: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "Installing chaincrf, PyTorch and what all targets need into $(VENV): several minutes, once"
	@$(BIN)/pip install -q -c constraints.txt -e '.[check,docs,test-all]'
	@touch $@ $(VENV)/.installed $(addprefix $(VENV)/.installed-,check docs test test-all)

$(VENV)/.installed-%: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "Installing chaincrf, PyTorch and what \`make $*\` needs into $(VENV): one to several minutes, once"
	@$(BIN)/pip install -q -c constraints.txt -e '.[$*]'
	@touch $@
