# Each target sets up all it needs. ARGS goes to the command: make run ARGS=--json, make test ARGS="-k lease".
.DEFAULT_GOAL := help
.PHONY: help run test check lint format screenshots bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

run: ## start AeroDash with a demo project; Ctrl-C stops it
	@scripts/bootstrap run && exec .venv/bin/python -m aerodash up --demo $(ARGS)

test: ## check style and types, and run all tests
	@scripts/bootstrap test
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy
	@CHROMIUM="$$(scripts/browser)" && export CHROMIUM && exec .venv/bin/python -m pytest $(ARGS)

check: test ## what CI runs

lint: ## check style, types and likely mistakes
	@scripts/bootstrap test
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

format: ## rewrite the code in the one style
	@scripts/bootstrap test
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

screenshots: ## photograph each page of the console into docs/images
	@scripts/bootstrap test
	@CHROMIUM="$$(scripts/browser)" && export CHROMIUM && exec .venv/bin/python scripts/screenshots $(ARGS)

bench: ## measure the lanes and both engines; ARGS goes to the first
	@scripts/bootstrap run
	@.venv/bin/python -m bench.wire_lanes $(ARGS)
	@.venv/bin/python -m bench.engine_cache
	@.venv/bin/python -m bench.engine_jobs
