# Everything works on a bare clone with Python (3.11 or newer), pip and make: each target sets up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart quickstart-llm test test-web screenshots coverage docs constraints dist check format clean

quickstart: $(VENV)/.installed  ## the laboratory: seed judge and three rounds on the tiny model that ships with the package
	$(BIN)/gramr2 lab train --out runs/quickstart

quickstart-llm: $(VENV)/.installed  ## the same loop on SmolLM2-135M and the starter set
	$(BIN)/gramr2 train examples/quickstart.yaml --out runs/quickstart-llm

test: check  ## all tests, with the real-model ones, a process for each core (at most 4)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 10

test-web: $(VENV)/.web  ## the page in Chromium, by its path in $CHROMIUM (default: /usr/bin/chromium)
	$(BIN)/python -m pytest -m web tests/web

SHOTS ?= build/screenshots
screenshots: $(VENV)/.web quickstart  ## every page of the quickstart's run in Chromium, as pictures in $SHOTS; what is wrong with one is an error
	$(BIN)/python tools/screenshots.py --run runs/quickstart --out $(SHOTS)

coverage: $(VENV)/.installed  ## line coverage of all tests: the ten lowest files and the total
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --cov=gramr2 --cov-report=
	$(BIN)/coverage report --sort=cover | sed -n '1,12p;$$p'

docs: $(VENV)/.installed  ## tables of the docs that follow from the code, and the site in build/site, with every link checked
	$(BIN)/python tools/doc_tables.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: $(VENV)/.installed  ## lint, format, types, layers, tables of the docs, tested versions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/doc_tables.py --check
	$(BIN)/python tools/constraints.py --check

constraints: $(VENV)/.installed  ## the versions that the tests ran with; after make test
	$(BIN)/python tools/constraints.py

dist: $(VENV)/.installed  ## sdist and wheel of gramr2, and the wheel of gramr2-light, in dist/
	$(BIN)/python -m hatchling build
	cd light && ../$(BIN)/python -m hatchling build -t wheel -d ../dist

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=23"
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

$(VENV)/.web: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -e ".[dev,web-test]"
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
