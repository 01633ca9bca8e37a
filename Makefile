# Every target works on a fresh clone: the virtual environment is made and filled when it is missing or stale.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
DEMO := .demo
N ?= 50
SEED ?= 1

.PHONY: run test lint bench crash screenshots clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Chronos needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[demo]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[demo,dev]'
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[demo,dev,bench]'
	touch $@

run: $(VENV)/.installed
	@$(BIN)/chronos --data-dir $(DEMO) init --demo --sample
	@$(BIN)/chronos-tui --data-dir $(DEMO)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks

crash: $(VENV)/.installed-dev
	$(BIN)/python -m tests.crash.loop --kills $(N) --messages 5000 --seed $(SEED)
	$(BIN)/python -m tests.crash.archives --kills 200 --seed $(SEED)

screenshots: $(VENV)/.installed-dev
	$(BIN)/python -m screenshots.draw

clean:
	rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis
