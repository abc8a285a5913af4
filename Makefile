# Everything runs in .venv, which each target makes first where it is missing or out of date.
# Only Python 3.11 or newer (with its venv module) and make are needed beforehand.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UV := $(BIN)/uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos check audit bench digests format hooks lock clean purge

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## Install the locked packages and the project into .venv

demo: $(INSTALLED) ## Start every server here and watch orders reach the three read models
	$(BIN)/readmodels demo $(ARGS)

test: $(INSTALLED) ## Run every test, on real servers: two of each, for much of a test is waiting
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(INSTALLED) ## Format, lint, types, layers and class names
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.tools.class_names

chaos: $(INSTALLED) ## Kill, stop and cut off servers and workers under load, and add what was seen to docs/reference/reliability.md
	$(BIN)/python -m tests.chaos $(ARGS)

bench: $(INSTALLED) ## Measure the pipeline against its baselines; fails where a model ends wrong
	$(BIN)/python -m bench $(ARGS)

format: $(INSTALLED) ## Rewrite the code in the project's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

hooks: $(INSTALLED) ## Run the checks, without the tests, at every git commit
	$(BIN)/pre-commit install

lock: $(INSTALLED) ## Resolve the newest packages that pyproject.toml allows
	$(COMPILE) --upgrade --all-extras --output-file requirements.txt pyproject.toml
	echo uv | $(COMPILE) --no-annotate --constraint requirements.txt --output-file requirements-uv.txt -

audit: $(INSTALLED) ## Compare the locked packages with PyPI's advisories; fails where one cannot be looked up
	$(UV) tool run pip-audit --strict --require-hashes --disable-pip --requirement requirements.txt

digests: $(INSTALLED) ## Pin the images of docker compose by digest in .env; needs Docker
	$(BIN)/python deploy/pin_images.py

clean: ## Delete caches and build output
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

purge: clean ## Stop the local servers; delete their data and .venv too
	if [ -x $(BIN)/readmodels ] && [ -d .readmodels ]; then $(BIN)/readmodels down; fi
	rm -rf "$$(readlink -f .readmodels/data)" "$$(readlink -f .readmodels/classes)"
	rm -rf .readmodels .readmodels.servers $(VENV)

$(UV): requirements-uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, and $(PYTHON) is %d.%d: try make PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) has no venv module: install it (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@touch $(UV)

$(INSTALLED): $(UV) requirements.txt pyproject.toml
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)
