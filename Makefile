# Each target sets up all it needs. ARGS goes to the command: make run ARGS=--json, make test ARGS="-k lease".
.DEFAULT_GOAL := help
.PHONY: help run test check lint format screenshots bench bench-cache bench-jobs chaos mutation model

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

run: ## start AeroDash with a demo project; Ctrl-C stops it
	@scripts/bootstrap run && exec .venv/bin/python -m aerodash up --demo $(ARGS)

test: ## check style and types, and run all tests, on SQLite and on PostgreSQL
	@scripts/bootstrap test
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy
	@.venv/bin/python scripts/tests $(ARGS)

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

bench-cache: ## measure the cache over HTTP beside django-ninja and webdis, and ten million keys; writes bench/results/cache.md
	@scripts/bootstrap run
	@WRK="$$(scripts/peer wrk)" && WEBDIS="$$(scripts/peer webdis)" && export WRK WEBDIS && exec .venv/bin/python -m bench.cache $(ARGS)

bench-jobs: ## measure the queue over HTTP, beside other queues with ARGS=--peers; writes bench/results/jobs.md
	@scripts/bootstrap test
	@exec .venv/bin/python -m bench.jobs $(ARGS)

chaos: ## kill and pause everything under load and check the histories: make chaos ARGS="--database postgres --minutes 10"
	@scripts/bootstrap test
	@exec .venv/bin/python -m tests.chaos.run $(ARGS)

mutation: ## take each guard out of the engine, in a copy, and see that the tests notice
	@scripts/bootstrap test
	@exec .venv/bin/python -m tests.mutation.run $(ARGS)

model: ## visit every state of every scenario of the Spin model, the deep ones too
	@scripts/bootstrap test
	@exec .venv/bin/python -m tests.model.spin
