# Everything works on a bare clone with Python (3.11 or newer), pip and make: each target sets up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test check format clean

quickstart: $(VENV)/.installed  ## train a judge on the starter set and show before/after
	$(BIN)/gramr2 train examples/quickstart.yaml --out runs/quickstart

test: check  ## all tests, with the real-model ones
	$(BIN)/python -m pytest

check: $(VENV)/.installed  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=23"
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
