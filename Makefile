.DEFAULT_GOAL := help
BIN := .venv/bin
DIR ?= dist/wheels

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## set up what is missing, then the daemon in the foreground
	./install.sh --run

.PHONY: check lint unit
check: ## format, lint, types, import contracts, unit tests; under a minute
	@$(MAKE) --no-print-directory -j2 -O lint unit

lint:
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo

unit:
	$(BIN)/pytest -q -n 2 tests/unit

.PHONY: test
test: ## unit and integration tests: real servers, screens, encoders
	$(BIN)/pytest -q -m "unit or integration"

.PHONY: e2e
e2e: ## real browsers, networks of their own, fresh and booted machines; needs root
	$(BIN)/pytest -m e2e

.PHONY: bare
bare: ## the set-up and all tests in a root that holds only git, python3 and certificates; needs root
	$(BIN)/python -m tests.e2e.install.empty_root

.PHONY: format
format: ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

COMPILE = uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate
.PHONY: lock
lock: ## pin all dependencies by hash (needs uv)
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --group dev -o requirements-dev.lock
	printf '%s\n' 'botocore>=1.44,<2' | $(COMPILE) --constraint requirements-dev.lock - -o requirements-aws.lock
	printf '%s\n' 'hatchling>=1.27' editables setuptools cffi \
		| $(COMPILE) --constraint requirements.lock - -o requirements-build.lock

.PHONY: wheels
wheels: ## fill DIR for `install.sh --offline DIR` on a machine of this kind
	./install.sh --fetch $(DIR)
