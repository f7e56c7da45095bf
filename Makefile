# Commands for a fresh machine: `make report`, `make test`, `make site`. Each does only what is still missing.
VENV := .venv
PYTHON := $(VENV)/bin/python
ITEMS := 120
RUN := runs/pocket.duckdb
REPORT := runs/pocket-report
WORKERS := 2

.PHONY: report test soak mutants coverage lint site published clean

report: $(VENV)/.installed
	$(VENV)/bin/nlareport run data/experiments/pocket.yaml --db $(RUN) --limit $(ITEMS)
	$(VENV)/bin/nlareport render $(RUN) --out $(REPORT)

published: $(VENV)/.installed
	$(VENV)/bin/nlareport import data/published/18-cross-family.yaml --db runs/18-cross-family.duckdb
	$(VENV)/bin/nlareport render runs/18-cross-family.duckdb --out runs/18-cross-family-report

# One thread a worker: the models of the tests are too small to keep two busy.
test: $(VENV)/.test-installed lint
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses $(WORKERS) --dist worksteal

# Faults and trials by the hundred, which `make test` leaves out.
soak: $(VENV)/.test-installed
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses $(WORKERS) --dist worksteal -m soak

# Faults put into the arithmetic one at a time: at least 90% of them must fail a test. About half an hour on one core;
# `mutmut run` goes on where it was stopped.
mutants: $(VENV)/.mutation-installed
	rm -rf mutants
	OMP_NUM_THREADS=1 nice $(PYTHON) -m mutmut run --max-children 1
	$(PYTHON) benchmarks/mutants.py

# Which lines of nlareport/ the tests run: fails under 95%.
coverage: $(VENV)/.coverage-installed
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses $(WORKERS) --dist worksteal --cov --cov-report term-missing:skip-covered

lint: $(VENV)/.test-installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

site: $(VENV)/.site-installed
	$(VENV)/bin/nlareport site

# Without torch, which the site does not need; where everything is installed already, this adds nothing.
$(VENV)/.site-installed: pyproject.toml
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet 'pip>=25.1'
	$(PYTHON) -m pip install --quiet --group site
	$(PYTHON) -m pip install --quiet --no-deps --editable .
	touch $@

# torch by its exact version: a looser range may fetch gigabytes of CUDA libraries.
$(VENV)/.installed: pyproject.toml
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet torch==2.13.0 --editable '.[pairs]'
	touch $@

$(VENV)/.test-installed: $(VENV)/.installed
	$(PYTHON) -m pip install --quiet --editable '.[pairs,hub,test]'
	touch $@

$(VENV)/.mutation-installed $(VENV)/.coverage-installed: $(VENV)/.%-installed: $(VENV)/.test-installed
	$(PYTHON) -m pip install --quiet --group $*
	touch $@

clean:
	rm -rf runs site/public
