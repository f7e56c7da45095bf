# Commands for a fresh machine: `make report`, `make test`, `make site`. Each does only what is still missing.
VENV := .venv
PYTHON := $(VENV)/bin/python
ITEMS := 120
RUN := runs/pocket.duckdb
REPORT := runs/pocket-report
WORKERS := 2

.PHONY: report test soak mutants coverage lint site published dist lock audit clean

report: $(VENV)/.installed
	$(VENV)/bin/nlareport run data/experiments/pocket.yaml --db $(RUN) --limit $(ITEMS)
	$(VENV)/bin/nlareport render $(RUN) --out $(REPORT)

published: $(VENV)/.installed
	$(VENV)/bin/nlareport import data/published/18-cross-family.yaml --db runs/18-cross-family.duckdb
	$(VENV)/bin/nlareport render runs/18-cross-family.duckdb --out runs/18-cross-family-report

# One thread a worker: the models of the tests are too small to keep two busy. A worker a core: three on two cores took a
# sixth longer.
test: $(VENV)/.test-installed lint
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses $(WORKERS) --dist worksteal --durations=25

# Faults and trials by the hundred, which `make test` leaves out.
soak: $(VENV)/.test-installed
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses $(WORKERS) --dist worksteal -m soak

# Faults put into the arithmetic one at a time: at least 90% of them must fail a test. About half an hour on one core;
# `python -m benchmarks.mutants --run` goes on where it was stopped; never `mutmut run`, whose timer signals strangers.
mutants: $(VENV)/.test-installed
	rm -rf mutants
	OMP_NUM_THREADS=1 nice $(PYTHON) -m benchmarks.mutants --run

# Which lines of nlareport/ the tests run: fails under 95%. Measuring is slow, so no example of hypothesis has a deadline.
coverage: $(VENV)/.test-installed
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses $(WORKERS) --dist worksteal --hypothesis-profile=ci \
		--cov --cov-report term-missing:skip-covered

lint: $(VENV)/.test-installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

site: $(VENV)/.site-installed
	$(VENV)/bin/nlareport site

# From locks: exact versions with the hashes of their files. `--no-deps`, since a lock is whole; torch by its exact version
# alone, since which of its builds is right depends on the machine (a looser range may fetch gigabytes of CUDA libraries).
INSTALL := $(PYTHON) -m pip install --quiet
LOCKED := $(INSTALL) --require-hashes --no-deps --requirement .ci/locks
ITSELF := $(INSTALL) --no-deps --no-build-isolation --editable .
TORCH := torch==2.13.0

# Without torch, which the site does not need; where everything is installed already, this adds nothing.
$(VENV)/.site-installed: pyproject.toml .ci/locks/site.txt
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(LOCKED)/site.txt
	$(ITSELF)
	touch $@

$(VENV)/.installed: pyproject.toml .ci/locks/run.txt
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(LOCKED)/run.txt
	$(INSTALL) $(TORCH)
	$(ITSELF)
	touch $@

$(VENV)/.test-installed: $(VENV)/.installed .ci/locks/test.txt
	$(LOCKED)/test.txt
	touch $@

# The files that are handed out: built, judged, installed in an environment that has nothing else, and every command tried
# there from an empty folder.
dist: $(VENV)/.test-installed
	rm -rf dist build/empty
	$(PYTHON) -m build --no-isolation --outdir dist .
	$(PYTHON) -m twine check --strict dist/*
	$(VENV)/bin/check-wheel-contents dist/*.whl
	python3 -m venv build/empty
	build/empty/bin/python -m pip install --quiet --require-hashes --no-deps --requirement .ci/locks/run.txt
	build/empty/bin/python -m pip install --quiet $(TORCH)
	build/empty/bin/python -m pip install --quiet --no-deps dist/*.whl
	build/empty/bin/python -m pip check
	build/empty/bin/python .ci/try_commands.py

# Tools that look after the dependencies live apart from those they look after.
TOOLS := build/tools
$(TOOLS)/.installed: pyproject.toml .ci/locks/audit.txt
	test -x $(TOOLS)/bin/python || python3 -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --require-hashes --no-deps --requirement .ci/locks/audit.txt
	touch $@

# The newest releases that pyproject.toml admits, written down.
lock: $(TOOLS)/.installed $(VENV)/.test-installed
	UV=$(TOOLS)/bin/uv .ci/lock
	$(MAKE) $(VENV)/.test-installed
	$(PYTHON) .ci/licences.py

# Do the locks still answer pyproject.toml, are all licences told, and is any known vulnerability among them?
audit: $(TOOLS)/.installed $(VENV)/.test-installed
	UV=$(TOOLS)/bin/uv .ci/lock --check
	$(PYTHON) .ci/licences.py --check
	for lock in run test site; do \
	    $(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes --requirement .ci/locks/$$lock.txt || exit 1; done

clean:
	rm -rf runs site/public build dist
