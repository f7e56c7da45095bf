# Commands for a fresh machine: `make report`, `make test`, `make site`. Each does only what is still missing.
# `make report TORCH=cpu` installs torch without CUDA, which saves 2.6 GB of downloads on Linux.
VENV := .venv
PYTHON := $(VENV)/bin/python
ITEMS := 120
RUN := runs/pocket.duckdb
REPORT := runs/pocket-report
WORKERS := 2
TORCH ?= index

.PHONY: report test test-quick browser soak mutants coverage lint site published dist lock audit clean

report: $(VENV)/.torch-$(TORCH)
	$(VENV)/bin/nlareport run data/experiments/pocket.yaml --db $(RUN) --limit $(ITEMS)
	$(VENV)/bin/nlareport render $(RUN) --out $(REPORT)

published: $(VENV)/.torch-$(TORCH)
	$(VENV)/bin/nlareport import data/published/18-cross-family.yaml --db runs/18-cross-family.duckdb
	$(VENV)/bin/nlareport render runs/18-cross-family.duckdb --out runs/18-cross-family-report

# One thread per worker: the models of the tests are too small to keep two busy. One worker per core: three on two cores
# took a sixth longer. The duration of every test is kept in build/tests.xml.
PYTEST := OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses $(WORKERS) --dist worksteal

test: $(VENV)/.test-installed browser lint
	$(PYTEST) --durations=25 --junit-xml=build/tests.xml

# The three fifths of the tests that need no model, no browser, no simulation and no whole run; under 90 s on two cores.
test-quick: $(VENV)/.test-installed
	$(PYTEST) --durations=10 -m "not (soak or models or browser or runs or trials)"

# Finds a Chrome or Chromium for the tests, installs one where there is none, and says which it took.
browser: $(VENV)/.test-installed
	$(PYTHON) tests/support/browser_search.py

# Hundreds of faults and trials, which `make test` leaves out.
soak: $(VENV)/.test-installed browser
	$(PYTEST) -m soak

# Mutation testing of the arithmetic: at least 90% of the mutants must fail a test. About half an hour on one core.
# `python -m benchmarks.mutants --run` goes on where it was stopped. Never use `mutmut run`: its timer signals processes
# that are not its own.
mutants: $(VENV)/.test-installed
	rm -rf mutants
	OMP_NUM_THREADS=1 nice $(PYTHON) -m benchmarks.mutants --run

# Which lines of nlareport/ the tests run: fails under 95%. Measuring is slow, so hypothesis has no deadlines.
coverage: $(VENV)/.test-installed browser
	$(PYTEST) --hypothesis-profile=ci --cov --cov-report term-missing:skip-covered

lint: $(VENV)/.test-installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

site: $(VENV)/.site-installed
	$(VENV)/bin/nlareport site

# Everything is installed from locks: exact versions with the hashes of their files. `--no-deps`, since a lock is complete.
INSTALL := $(PYTHON) -m pip install --quiet
LOCKED := $(INSTALL) --require-hashes --no-deps --requirement .ci/locks
ITSELF := $(INSTALL) --no-deps --no-build-isolation --editable .

# Only torch is not in the locks, because the right build depends on the machine. TORCH chooses it:
# `index` takes what the package index serves. PyPI serves Linux the CUDA build, which with its CUDA libraries is 2.8 GB of
# downloads, and macOS a build without CUDA. Any other word is one of uv's torch backends: `cpu` (0.2 GB), `cu130`, …
TORCH_RELEASE := torch==2.13.0
TOOLS := build/tools
ifeq ($(TORCH),index)
install_torch = $(1) -m pip install --quiet $(TORCH_RELEASE)
else
install_torch = $(TOOLS)/bin/uv pip install --quiet --python $(1) --reinstall-package torch --torch-backend $(TORCH) $(TORCH_RELEASE) || \
	{ echo 'error: uv found no $(TORCH) build of $(TORCH_RELEASE); leave TORCH out to take what your package index serves.' >&2; exit 1; }
$(VENV)/.torch-$(TORCH): $(TOOLS)/.installed
endif

# Without torch, which the site does not need; where everything is installed already, this adds nothing.
$(VENV)/.site-installed: pyproject.toml .ci/locks/site.txt
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(LOCKED)/site.txt
	$(ITSELF)
	touch $@

$(VENV)/.installed: pyproject.toml .ci/locks/run.txt
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(LOCKED)/run.txt
	$(ITSELF)
	touch $@

$(VENV)/.torch-$(TORCH): $(VENV)/.installed
	$(call install_torch,$(PYTHON))
	touch $@

$(VENV)/.test-installed: $(VENV)/.torch-$(TORCH) .ci/locks/test.txt
	$(LOCKED)/test.txt
	touch $@

# Wheel and sdist: built, checked, installed in an environment that has nothing else, and every command tried there from
# an empty folder.
dist: $(VENV)/.test-installed
	rm -rf dist build/empty
	$(PYTHON) -m build --no-isolation --outdir dist .
	$(PYTHON) -m twine check --strict dist/*
	$(VENV)/bin/check-wheel-contents dist/*.whl
	python3 -m venv build/empty
	build/empty/bin/python -m pip install --quiet --require-hashes --no-deps --requirement .ci/locks/run.txt
	$(call install_torch,build/empty/bin/python)
	build/empty/bin/python -m pip install --quiet --no-deps dist/*.whl
	build/empty/bin/python -m pip check
	build/empty/bin/python .ci/try_commands.py

# The tools that manage dependencies have an environment of their own.
$(TOOLS)/.installed: pyproject.toml .ci/locks/audit.txt
	test -x $(TOOLS)/bin/python || python3 -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --require-hashes --no-deps --requirement .ci/locks/audit.txt
	touch $@

# Locks the newest releases that pyproject.toml allows.
lock: $(TOOLS)/.installed $(VENV)/.test-installed
	UV=$(TOOLS)/bin/uv .ci/lock
	$(MAKE) $(VENV)/.test-installed
	$(PYTHON) .ci/licences.py

# Checks that the locks still satisfy pyproject.toml, that every licence is listed, and that no known vulnerability is
# among the locked releases.
audit: $(TOOLS)/.installed $(VENV)/.test-installed
	UV=$(TOOLS)/bin/uv .ci/lock --check
	$(PYTHON) .ci/licences.py --check
	for lock in run test site; do \
	    $(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes --requirement .ci/locks/$$lock.txt || exit 1; done

clean:
	rm -rf runs site/public build dist
