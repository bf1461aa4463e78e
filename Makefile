# Needs Python 3.11 or newer and GNU make 3.81 or newer; everything else goes into .venv.
# `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
PINS := constraints.txt
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
INSTALL := $(PIP) install --constraint $(PINS)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
TIDY := build dist htmlcov demo-output .coverage .hypothesis .pytest_cache .ruff_cache .import_linter_cache

# No tool of the house may ask the network whether it is up to date.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test conformance torture lint floors coverage format generated bench pins clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

venv: $(DEV) ## make .venv with everything that a developer needs

# The program and what it needs at run time.
$(RUNTIME): pyproject.toml $(PINS)
	@$(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null || { \
	  $(PYTHON) -c '$(NEW_ENOUGH)' || { \
	    echo "darkroom needs Python 3.11 or newer, and '$(PYTHON)' is not one ($$($(PYTHON) --version 2>&1))." >&2; \
	    echo "Name another one: make PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
	    echo "'$(PYTHON)' cannot make a virtual environment; install its venv module (Debian: python3-venv)." >&2; exit 1; }; }
	@echo "Installing darkroom into $(VENV) ..."
	@$(PIP) install --upgrade 'pip>=25.3'
	@$(INSTALL) --build-constraint $(PINS) --editable .
	@touch $@

# The tools of the gates and tests.
$(DEV): $(RUNTIME)
	@echo "Installing the developer's tools into $(VENV) ..."
	@$(INSTALL) --group dev
	@touch $@

demo: $(RUNTIME) ## set up and run the demonstration: no key, no network needed
	@$(BIN)/python scripts/demo.py

# pytest comes last, so that its summary closes the output; the floors speak only when one is missed.
test: lint ## set up, run all gates and all tests
	@$(BIN)/python -m pytest --numprocesses auto --dist loadgroup --cov --cov-report= --cov-fail-under=95
	@$(MAKE) --no-print-directory floors

# Node comes as a wheel with the developer's tools; the suites go into .venv too, pinned in tests/conformance.
conformance: $(DEV) ## run the official MCP suites and the Inspector, and count tokens; needs the npm registry once
	@$(BIN)/python scripts/conformance.py

torture: $(DEV) ## give the job layer 3,000 kills and pauses and crash it at every point twice; takes about an hour
	@DARKROOM_TORTURE=3000 DARKROOM_CALL_S=120 $(BIN)/python -m pytest tests/proof tests/e2e/test_linger.py --timeout 7200

lint: $(DEV) ## run the gates that need no test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry src
	$(BIN)/codespell
	$(BIN)/pyright

# Branch coverage of the parts that money and jobs depend on is whole; silent when it is.
FLOOR := src/darkroom/domain/*,src/darkroom/services/*,src/darkroom/runtime/*,src/darkroom/store/*
floors:
	@$(BIN)/coverage report --include='$(FLOOR)' --fail-under=100 > .coverage.floors 2>&1 || { \
	  cat .coverage.floors; echo "domain, services, runtime and store must be covered whole."; exit 1; }

coverage: $(DEV) ## run all tests and show which lines none of them reaches
	@$(BIN)/python -m pytest --cov --cov-report=term-missing

format: $(DEV) ## sort imports, mend what ruff can mend, format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generated: $(DEV) ## rewrite the files and tables that are made from the manifests
	@$(BIN)/python scripts/generate.py

bench: $(DEV) ## run every benchmark; each prints ratios of things measured in one run
	@set -e; for file in $(filter-out benchmarks/harness.py,$(sort $(wildcard benchmarks/*.py))); do \
	  echo "== $$file"; $(BIN)/python "$$file"; done

# Resolves pyproject.toml afresh in an environment of its own and writes down what came out, so that nothing that
# lies about in .venv is pinned. Run it with the oldest Python that we support (other versions may need fewer
# packages, never other ones), then `make test`, and commit both files together.
pins: ## write constraints.txt: the newest versions that pyproject.toml allows
	@$(PYTHON) -m venv --clear build/pins
	@build/pins/bin/python -m pip --quiet install --upgrade 'pip>=25.3'
	@build/pins/bin/python -m pip --quiet install --editable . --group dev
	@{ echo "# Exact versions of everything that darkroom and its tools need. Written by 'make pins'."; \
	   build/pins/bin/python -m pip freeze --exclude-editable --exclude pip --exclude setuptools; } > build/pins/frozen.txt
	@mv build/pins/frozen.txt $(PINS)
	@rm -rf build/pins
	@echo "$(PINS) holds $$(grep -c == $(PINS)) pins."

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) $(TIDY) .coverage.*
	find . -name __pycache__ -not -path './node_modules/*' -prune -exec rm -rf {} +
