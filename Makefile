# One word for each job; CI runs the same words. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.complete
INSTALL_LOG := $(VENV)/install.log
EXTRAS := dev,monitor,noise,postgres,tune
# Tests wait on child processes half of their time; a file's tests stay together for its fixtures.
PYTEST_WORKERS ?= --numprocesses auto --maxprocesses 4 --dist loadfile

# Nothing that runs here reports home, and tests never ask a model hub.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export GX_ANALYTICS_ENABLED := false
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true
export HF_HUB_DISABLE_TELEMETRY := 1

# The first interpreter that runs and is new enough (a pyenv shim may exist and not run).
find_python = for python in $${PYTHON:-} python3.11 python3.12 python3; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then echo "$$python"; exit 0; fi; done; \
	echo "Python 3.11 or newer (with venv) was not found; install it, or: make $@ PYTHON=/path/to/python" >&2; exit 1

.PHONY: help
help: ## list these words
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

# The mark is written last: an environment without it was interrupted and is made anew.
$(INSTALLED): constraints.txt pyproject.toml
	@python=$$($(find_python)); \
	if [ ! -f $@ ]; then echo "making $(VENV) with $$python"; "$$python" -m venv --clear $(VENV); fi
	@rm -f $@
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip 2>$(INSTALL_LOG) \
	  || { cat $(INSTALL_LOG) >&2; exit 1; }
	@echo "installing the pinned packages of constraints.txt into $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off \
	  --constraint constraints.txt --editable '.[$(EXTRAS)]' 2>$(INSTALL_LOG) \
	  | { grep --line-buffered -E '^(Downloading .*[0-9] (MB|GB)|Installing|Successfully)' || true; } | cut -c 1-100 \
	  || { cat $(INSTALL_LOG) >&2; exit 1; }
	@touch $@

.PHONY: install
install: $(INSTALLED) ## the environment in .venv, as constraints.txt pins it

.PHONY: demo
demo: $(INSTALLED) ## the main job on the sample corpus: raw text to a promoted model version
	@$(BIN)/holdfast demo

.PHONY: test
test: $(INSTALLED) ## the fast, hermetic tests
	@HF_HUB_OFFLINE=1 $(BIN)/python -m pytest $(PYTEST_WORKERS) $(PYTEST_ARGS)

.PHONY: test-slow
test-slow: $(INSTALLED) ## the tests that take longer than about ten seconds each
	@HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m "slow and not gpu and not network" $(PYTEST_ARGS)

.PHONY: lint
lint: $(INSTALLED) ## ruff, mypy --strict and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: $(INSTALLED) ## rewrite the sources in the house format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: bench
bench: $(INSTALLED) ## every benchmark; results go to benchmarks/results/
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

.PHONY: lock
lock: $(INSTALLED) ## write constraints.txt anew (LOCK_ARGS=--upgrade: newest versions)
	@$(BIN)/python .ci/lock.py $(LOCK_ARGS)

.PHONY: clean
clean: ## remove caches, state, derived data and what retrains added; raw data and .venv stay
	@rm -rf .holdfast data/ingested data/validated data/splits data/suites data/quarantine build dist
	@rm -rf data/additions data/additions.dvc data/refusal.json
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find flows pipeline_steps tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## clean, and remove .venv, raw data and DVC's cache: what is left is what git has
	@rm -rf $(VENV) holdfast.egg-info .dvc/cache .dvc/tmp data/raw data/code_version.json dvc.lock
