# `make demo` and `make test` work from a bare clone: they make a virtual environment here, install into it, and run.
# What is installed is kept until pyproject.toml or constraints.txt change.

TEST_EXTRAS ?= dev,train,serve,scale,docs
WORKERS ?= 2
PYTHONS ?= python3.11 python3.12 python3.13
PY := .venv/bin/python
BASE := .venv-base/bin/python

.PHONY: demo test test-full test-base test-long test-minimal test-pythons lint docs release audit clean

demo: .venv/.stamp-base
	.venv/bin/fugato demo

test: test-full test-base

lint: .venv/.stamp-test
	$(PY) -m ruff check src tests
	$(PY) -m ruff format --check src tests
	$(PY) -m mypy

test-full: lint
	$(PY) -m pytest -n $(WORKERS)

# The built wheel with nothing but the base dependencies and pytest: what a user gets from `pip install fugato`.
test-base: .venv/.stamp-test .venv-base/.stamp-base
	rm -rf build/wheel
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(BASE) -m pip install --quiet --no-deps --force-reinstall build/wheel/fugato-*.whl
	FUGATO_BASE_ONLY=1 $(BASE) -m pytest tests/base

test-long: .venv/.stamp-test
	FUGATO_LONG=1 $(PY) -m pytest -n $(WORKERS)

# The same with the oldest versions of its dependencies that pyproject.toml allows.
test-minimal: .venv/.stamp-release
	rm -rf build/wheel
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	tools/minimal.sh build/minimal build/wheel/fugato-*.whl

# The built wheel under every Python that is here (PYTHONS="python3.12 /opt/python3.13/bin/python3").
test-pythons: .venv/.stamp-test
	rm -rf build/wheel
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	tools/pythons.sh build/pythons build/wheel/fugato-*.whl $(PYTHONS)

# Wheel and source archive, built twice and compared, with hashes, a bill of materials and checksums, in dist/.
release: .venv/.stamp-release
	$(PY) tools/release.py

audit: .venv/.stamp-release
	$(PY) tools/release.py --audit

docs: .venv/.stamp-docs
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict

clean:
	rm -rf .venv .venv-base build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp-base: pyproject.toml constraints.txt tools/venv.sh
	tools/venv.sh .venv --editable .
	@touch $@

.venv/.stamp-test: pyproject.toml constraints.txt tools/venv.sh tools/browser.sh
	tools/venv.sh .venv --editable '.[$(TEST_EXTRAS)]'
	tools/browser.sh
	@touch $@ .venv/.stamp-base

.venv/.stamp-docs: pyproject.toml constraints.txt tools/venv.sh
	tools/venv.sh .venv --editable '.[docs]'
	@touch $@ .venv/.stamp-base

.venv/.stamp-release: .venv/.stamp-test
	$(PY) -m pip install --quiet --constraint constraints.txt build uv pip-audit
	@touch $@

.venv-base/.stamp-base: pyproject.toml constraints.txt tools/venv.sh
	tools/venv.sh .venv-base . pytest
	@touch $@
