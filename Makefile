# Every target does its own set-up in .venv, and again only when its inputs have changed.

PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$python; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt
export PYTHONPATH := runtime:actors:.

.PHONY: help demo test test-all check goals soak coverage branches bench bench-sqlite bench-redis bench-workflows simulate bugbank crash webhooks model docs format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(VENV)/.demo: $(INPUTS)
	@test -n "$(PYTHON)" || { echo "postroom needs Python 3.11 or newer; none was found on PATH" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module; install it (Debian: python3-venv)" >&2; exit 1; }
	@echo "setting up $(VENV) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt trio anyio attrs msgspec svcs cronsim rich apsw coredis >&2
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	@echo "installing the development tools ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' >&2
	@touch $@

$(VENV)/.docs: $(VENV)/.demo
	@echo "installing the site's tools ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]' >&2
	@touch $@

demo: $(VENV)/.demo  ## replay a CD shop's orders (ARGS="--orders FILE --fail 0.05 --backend asyncio --json")
	@$(BIN)/python -m examples.storefront $(ARGS)

test: $(VENV)/.dev  ## run all tests, on trio and on asyncio, in two processes
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

check: $(VENV)/.dev  ## format, lint, types, import direction
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/basedpyright --level error
	@$(BIN)/lint-imports

bench: $(VENV)/.dev  ## CPU time and memory beside a hand-written bus, then all that follow (only the first with ARGS="--backend trio --only emit --quick --json --against ../other")
	@$(BIN)/python -m tests.benchmarks $(ARGS)
	@test -n "$(ARGS)" || $(MAKE) --no-print-directory bench-sqlite bench-workflows bench-redis

bench-sqlite: $(VENV)/.dev  ## wall time on SQLite beside the same rows by hand, the store alone and a runtime (ARGS="--backend trio --events 5000")
	@$(BIN)/python -m tests.benchmarks.stores $(ARGS)
	@$(BIN)/python -m tests.benchmarks.carried $(ARGS)

bench-redis: $(VENV)/.dev  ## wall time on Redis beside a raw socket and BullMQ (ARGS="--backend trio --events 5000")
	@$(BIN)/python -m tests.benchmarks.redis --bullmq $(ARGS)

bench-workflows: $(VENV)/.dev  ## workflows a second on SQLite and Redis beside the same journal writes by hand (ARGS="--store redis")
	@$(BIN)/python -m tests.benchmarks.workflows $(ARGS)

goals: $(VENV)/.dev  ## the goals that each change has to reach, 5 minutes on 2 cores (ARGS="--only R4,R18", "--list")
	@$(BIN)/python -m tests.goals $(ARGS)

soak: $(VENV)/.dev  ## the goals of a night: more seeds, longer runs, killed processes, about an hour
	@status=0; $(BIN)/python -m tests.goals --nightly $(ARGS) || status=1; \
	test -n "$(ARGS)" || $(MAKE) --no-print-directory coverage || status=1; exit $$status

coverage:  ## which lines and branches of the core no test takes (ARGS="--only tests/actors"), on Python 3.12 or newer
	@for version in 3.14 3.13 3.12; do \
		for python in python$$version "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python; do \
			if $$python -c 'import venv, ensurepip' >/dev/null 2>&1; then \
				$(MAKE) --no-print-directory branches PYTHON="$$python" VENV=.venv-$$version; exit $$?; \
			fi; \
		done; \
	done; echo "coverage loses lines around an event loop on Python 3.11; no newer one was found" >&2; exit 1

branches: $(VENV)/.dev
	@$(BIN)/python -m tests.branches $(ARGS)

simulate: $(VENV)/.dev  ## random programs under seeded schedules (ARGS="--backend trio --seed 17", "--check-determinism 50")
	@$(BIN)/python -m tests.simulation $(ARGS)

bugbank: $(VENV)/.dev  ## plant real mistakes, one at a time; the simulator must find each (ARGS="--list", "--only NAME")
	@$(BIN)/python -m tests.bugbank $(ARGS)

crash: $(VENV)/.dev  ## kill -9, SIGTERM, lost leases, bad networks and stepped clocks on SQLite and Redis, 12 minutes
	@$(BIN)/python -m tests.crash sqlite
	@$(BIN)/python -m tests.crash redis
	@for store in sqlite redis; do \
		$(BIN)/python -m tests.crash workflows --store $$store && \
		$(BIN)/python -m tests.crash worker --store $$store && \
		$(BIN)/python -m tests.shutdown --store $$store && \
		$(BIN)/python -m tests.lease --store $$store || exit 1; \
	done
	@$(BIN)/python -m tests.netfault
	@$(BIN)/python -m tests.shutdown --through-run
	@$(BIN)/python -m tests.clock

webhooks: $(VENV)/.dev  ## signed webhooks to services that end in the middle (ARGS="--framework quart --module redis --stop kill")
	@$(BIN)/python -m tests.webhooks $(ARGS)

model: $(VENV)/.dev  ## the same random programs on every event module and on a model (ARGS="--examples 20 --module sqlite --seed 7")
	@$(BIN)/python -m tests.model $(ARGS)

docs: $(VENV)/.docs  ## build the site into docs/_build/html; a warning is an error
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

format: $(VENV)/.dev  ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

test-all:  ## run all tests on every Python from 3.11 to 3.14 that is on PATH or in pyenv
	@status=0; for version in 3.11 3.12 3.13 3.14; do \
		found=; for python in python$$version "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python; do \
			if $$python -c 'import venv, ensurepip' >/dev/null 2>&1; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then echo "Python $$version: not found"; continue; fi; \
		echo "Python $$version: $$found"; \
		$(MAKE) --no-print-directory test PYTHON="$$found" VENV=.venv-$$version || status=1; \
	done; exit $$status

clean:  ## remove what the targets made
	rm -rf .venv .venv-3.* .coverage docs/_build
