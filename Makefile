# Two commands: `make book` and `make test`. Both set themselves up; both need nothing but python3 (3.11 or later).
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
BIN := .venv/bin
BUILD := $(or $(PAGS_BUILD),build)
STEPS := $(BUILD)/steps.txt
SELF := $(MAKE)# under another name a dry run stays dry
# Tests side by side; more of them than eight only wait for each other.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n : 8)))
MAKEFLAGS += --no-print-directory

# $(call step,NAME,COMMAND) runs a command and notes how long it took.
step = @mkdir -p $(BUILD); start=$$SECONDS; $(2); printf '%-10s%5d s\n' '$(1)' $$((SECONDS - start)) | tee -a $(STEPS)

.PHONY: book test check lint format setup steps clean

book: steps
	$(call step,set-up,$(SELF) setup)
	$(call step,chapters,$(BIN)/pags run --preset quick --jobs 2)
	$(call step,pages,$(BIN)/pags build --preset quick)
	@echo; cat $(STEPS); echo "The book: file://$(abspath $(BUILD))/html/index.html"

test: steps
	$(call step,set-up,$(SELF) setup)
	$(call step,lint,$(SELF) lint)
	$(call step,tests,$(BIN)/pytest -m "not book" -n $(WORKERS))
	$(call step,book,$(BIN)/pytest -m book)

# The same without what takes long by itself.
check: steps
	$(call step,set-up,$(SELF) setup)
	$(call step,lint,$(SELF) lint)
	$(call step,tests,$(BIN)/pytest -m "not slow and not book" -n $(WORKERS))

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/lint_chapters.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python tools/lint_chapters.py --fix

setup: .venv/installed
	@:

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python3 is older than 3.11: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

steps:
	@mkdir -p $(BUILD); : > $(STEPS)

clean:
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis
