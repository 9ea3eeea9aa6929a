# Every target does whatever set-up is missing. Needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin
TALLYSTICK := $(BIN)/tallystick
export HF_HUB_OFFLINE ?= 1
export PYTHONUNBUFFERED := 1

.PHONY: help setup demo up down test check format fuzz mutants bench docs clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/' | expand -t 18

setup: ## install what is missing into this folder: Node, two Python environments, compiled contracts
	@$(PYTHON) scripts/setup.py

demo: setup ## watch a model being trained, listed, paid for, run, posted on chain and audited
	@$(TALLYSTICK) demo

up: setup ## start a marketplace here: chain, contracts, models, oracle
	@$(TALLYSTICK) up

down: ## stop what `make up` started
	@if [ -x $(TALLYSTICK) ]; then $(TALLYSTICK) down; fi

test: setup ## contracts on Ganache, the hash vectors in JavaScript, then everything in Python
	@$(PYTHON) scripts/test_contracts.py
	@build/bin/node --test tests/js/
	@$(TALLYSTICK) train models/customer-service
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: setup ## style, types, import walls, documents and ABIs in step
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python scripts/make_docs.py --check
	@$(PYTHON) scripts/export_abi.py --check
	@$(BIN)/python scripts/analyse.py

format: setup ## rewrite the sources in the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

fuzz: setup ## the property tests with many more examples
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -m 'not e2e' tests/protocol tests/metering tests/audit
	@TALLYSTICK_FUZZ_STEPS=100000 $(BIN)/python -m pytest tests/evm/test_invariants.py

mutants: setup ## change the contracts' money paths line by line, and see whether the tests notice
	@$(BIN)/python scripts/mutate_contracts.py

bench: setup ## measure direct calls; writes reports/
	@$(BIN)/python benchmarks/direct_calls.py

docs: setup ## rewrite the generated documents
	@$(BIN)/python scripts/make_docs.py

clean: down ## remove everything that set-up, demo, tests and `up` made
	@rm -rf .venv .venv-contracts .venv-node node_modules build reports .tallystick deployments/*.json models/*/artifacts
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache backend/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
