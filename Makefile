# Two commands matter: `make run` and `make test`. Both need only Python 3.11 or newer and make.
# The first start installs the locked packages into .venv; nothing else of the machine is touched.

PORT ?= 8000
ARGS ?=
ifndef PYTHON
# pyenv's stand-ins exist without working, so each candidate is run.
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
endif
RUN := .venv/bin/python
WORKERS ?= 2

# Without its bytecode every process would compile Django anew.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: run test test-fast check bench shots lock setup clean

run: setup
	@exec $(RUN) manage.py up --port $(PORT) $(ARGS)

test: setup
	@exec $(RUN) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-fast: setup
	@exec $(RUN) -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not e2e and not chaos" $(ARGS)

check: setup
	@exec $(RUN) -m tests.checks $(ARGS)

bench: setup
	@exec $(RUN) -m tests.bench $(or $(ARGS),--all)

shots: setup
	@exec $(RUN) -m tests.shots $(ARGS)

setup:
	@test -n "$(PYTHON)" || { echo "Harbor needs Python 3.11 or newer, and found none on the PATH. Install it (Debian, Ubuntu: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12 run" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "$(PYTHON) is older than Python 3.11, or doesn't run. Name a newer one: make PYTHON=/path/to/python3.12 run" >&2; exit 1; }
	@"$(PYTHON)" saas/embedded/setup.py

# One lock for CPython 3.11 to 3.13, with hashes, naming no registry. Needs uv.
lock:
	uv pip compile -q --universal -p 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate requirements.in -o requirements.txt
	uv pip compile -q --universal -p 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate requirements-dev.in -o requirements-dev.txt

clean:
	rm -rf .venv var staticfiles
