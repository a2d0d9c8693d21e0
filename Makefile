# Thin targets over one program; `ablate --help` says more. Variables of suite, plan and config:
#   SUITE=s7  PROFILE=smoke|quick|full  DATA=cifar10|photos|patches|folder:PATH
#   DEVICE=cpu|cuda|mps  SEEDS=5|0,3,7|0-4  ARGS="recipe.epochs=2 --jobs 2 …"
# Environment: VENV=.venv is made on first use; VENV=system uses the running one (Colab, conda).
#   PYTHON=python3.12 chooses the interpreter.

PYTHON ?= python3
VENV ?= .venv
SUITE ?=
TARGET ?= $(SUITE)

ifeq ($(VENV),system)
RUN := $(PYTHON)
STAMP :=
else
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.stamp
endif

OPTIONS = $(if $(PROFILE),--profile "$(PROFILE)") $(if $(DATA),--data "$(DATA)") \
	$(if $(DEVICE),--device "$(DEVICE)") $(if $(SEEDS),--seeds "$(SEEDS)") $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help suite plan config measure report verdicts claims freeze list test lint types check benchmark clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'
	@echo
	@echo '  for example: make suite SUITE=s7 PROFILE=quick SEEDS=5 ARGS="recipe.epochs=2"'
	@sed -n 's/^# /  /p' $(firstword $(MAKEFILE_LIST)) | tail -n +2

suite: $(STAMP) ## train and measure what is missing of SUITE, write reports/index.html
	@$(RUN) -m ablate run "$(SUITE)" $(OPTIONS)

plan: $(STAMP) ## say what SUITE would run and how long it takes; trains nothing
	@$(RUN) -m ablate plan "$(SUITE)" $(OPTIONS)

config: $(STAMP) ## every value of SUITE's configurations with its origin
	@$(RUN) -m ablate config "$(SUITE)" $(OPTIONS)

measure: $(STAMP) ## say what a network costs: TARGET=torchvision:resnet18, FILE.py:FUNCTION, s7
	@$(RUN) -m ablate measure "$(TARGET)" $(ARGS)

report: $(STAMP) ## write the pages of SUITE (default: of all) from the records there are
	@$(RUN) -m ablate report $(SUITE)

verdicts: $(STAMP) ## the verdict on every claim of SUITE, from the records there are; ARGS=--strict
	@$(RUN) -m ablate verdicts "$(SUITE)" $(ARGS)

claims: $(STAMP) ## every claim of the notes and what became of it; as a page: reports/claims.html
	@$(RUN) -m ablate verdicts --all $(ARGS)

freeze: $(STAMP) ## an archive of SUITE to deposit: its pages and the records they rest on
	@$(RUN) -m ablate freeze "$(SUITE)" $(ARGS)

list: $(STAMP) ## the suites and what they may name
	@$(RUN) -m ablate list

test: $(STAMP) ## the tests
	$(RUN) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(STAMP) ## style and format
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(STAMP) ## type checks
	$(RUN) -m mypy

check: lint types test ## lint, types and tests: what CI runs

benchmark: $(STAMP) ## speed beside other loops, 40 minutes; ARGS=--quick proves that it works
	$(if $(STAMP),@$(RUN) -m pip install --quiet --editable '.[benchmark]')
	@$(RUN) -m benchmarks $(ARGS)

clean: ## remove rendered reports and caches; records in runs/ and the environment stay
	find reports -mindepth 1 ! -name .gitkeep ! -name example.png ! -name example.ipynb -delete
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find ablate tests -name __pycache__ -prune -exec rm -rf {} +

# The environment depends on pyproject.toml alone, so it is made once and again when that changes.
$(VENV)/.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "ablate needs Python 3.11 or newer; this is " + sys.version.split()[0] + ": use PYTHON=python3.12")'
	@echo "making the environment $(VENV) (once; torch is large, this takes some minutes)"
	@$(PYTHON) -m venv "$(VENV)"
	@$(RUN) -m pip install --quiet --upgrade pip
	@$(RUN) -m pip install --quiet --editable '.[dev]'
	@touch "$@"
