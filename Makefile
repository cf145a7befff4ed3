# Every target makes .venv if it is not there, installs into it what constraints.txt names, and uses it.
PYTHON ?= python3
# Further arguments of pytest, such as PYTEST_ARGS="-k genome -x".
PYTEST_ARGS ?=
# Benchmarks end within a minute each, that of supernets within minutes; BENCH_ARGS= runs them in full.
BENCH_ARGS ?= --quick

BIN := .venv/bin
INSTALLED := .venv/.installed
# The package as it is installed: problems/ and analysis/ inside moopim/.
MERGED := build/check/.made
EXTRAS := all,docs,dev
TORCH := $(shell sed -n 's/^\(torch==[^ ]*\).*/\1/p' constraints.txt)
# Directories are among them, so that a removed file counts as a change.
SOURCES := $(shell find moopim problems analysis -name __pycache__ -prune -o -print)

.DEFAULT_GOAL := help
.PHONY: help demo test lint types docs bench wheel clean
.DELETE_ON_ERROR:

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# With torch, one thread: small networks gain nothing from more, and the numbers then depend on no number of cores.
demo: $(INSTALLED) ## Map ResNet34 with HuNT; search networks and circuits with CrossNAS; results in demo/
	rm -rf demo
	$(BIN)/moopim run hunt --workload resnet34 --algorithm amosa --evaluations 20000 --seed 1 --output demo/run
	$(BIN)/moopim plot demo/run
	$(BIN)/moopim compare hunt --workload resnet34 --algorithms amosa,nsga2,random --seeds 5 --evaluations 10000 --output demo/compare
	OMP_NUM_THREADS=1 $(BIN)/moopim crossnas --preset demo --w-acc 0.99,0.8,0.5 --output demo/crossnas

test: $(INSTALLED) ## Run the tests
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

lint: $(INSTALLED) $(MERGED) ## Check style, formatting and the layers between modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cp pyproject.toml build/check/
	cd build/check && ../../$(BIN)/lint-imports --no-logo

types: $(INSTALLED) $(MERGED) ## Check the types, strictly
	cd build/check && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache --package moopim

docs: $(INSTALLED) ## Build the documentation into docs/_build/html; warnings are errors
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

bench: $(INSTALLED) ## Run the benchmarks
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script $(BENCH_ARGS); done

wheel: $(INSTALLED) ## Build the wheel into dist/
	rm -rf dist build/lib build/bdist.*
	$(BIN)/python -m pip wheel -qq --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

clean: ## Remove everything that the other targets made, .venv included
	rm -rf .venv build dist demo docs/_build docs/gallery *.egg-info .coverage htmlcov
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first, by its exact version: left to choose, pip takes a release that brings gigabytes of CUDA libraries.
$(INSTALLED): setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "moopim needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo 'Installing into .venv; the first time takes a minute or more.'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

# setuptools would take left-overs of an earlier build along.
$(MERGED): $(SOURCES) setup.cfg $(INSTALLED)
	rm -rf build
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --target build/check .
	@touch $@
