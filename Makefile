# hemiface: `make run` and `make test` are all that a newcomer needs.
#
#   make setup   sets up .venv with everything that the node needs
#   make run     sets up, then starts the node
#   make demo    sets up, then shows the whole way with an Orthanc of its own
#   make test    sets up the peers too, then lints, checks types and runs the fast tests
#   make test-slow   the tests that take long
#   make test-container   builds Orthanc and hemiface as containers and passes the main job between them
#   make wheels  fills deploy/wheels, from which the image is built without a package index
#   make lint    formatting, lint, types and import contracts alone
#   make lock    resolves the dependencies anew and writes the lock files (needs uv)

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.PHONY: setup run demo test test-slow test-container lint peers wheels lock clean

BIN := .venv/bin
NODE := .venv/node.stamp
TEST := .venv/test.stamp

# Two tests at a time; those of one file one after another, as they share what is costly to make.
SIDE_BY_SIDE := -n 2 --dist loadfile

setup: $(NODE)

run: $(NODE)
	@exec $(BIN)/hemiface serve

demo: $(NODE)
	@deploy/setup orthanc
	@exec $(BIN)/hemiface demo

test: lint peers
	$(BIN)/pytest $(SIDE_BY_SIDE)

test-slow: $(TEST) peers
	$(BIN)/pytest -m slow

test-container: $(TEST) peers
	@deploy/test-container

lint: $(TEST)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

peers:
	@deploy/setup peers

wheels:
	@deploy/setup wheels

$(NODE): deploy/setup pyproject.toml requirements.lock face-model.lock
	@deploy/setup node

$(TEST): $(NODE) requirements-test.lock
	@deploy/setup test

# Only what is written here decides what is resolved: no settings of the machine.
# py and beautifulsoup4 (with soupsieve) are wanted by dicom-standard's scripts, not by its tables.
LOCK := env -u UV_INDEX -u UV_INDEX_URL -u UV_DEFAULT_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS \
	uv --no-config pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url \
	--no-emit-package py --no-emit-package beautifulsoup4 --no-emit-package soupsieve

# What builds the project itself, as in pyproject.toml; set-up runs without build isolation.
BUILD := setuptools>=75

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(LOCK) pyproject.toml - --extra s3 -o requirements-s3.lock <<< '$(BUILD)' >/dev/null
	$(LOCK) pyproject.toml - -c requirements-s3.lock -o requirements.lock <<< '$(BUILD)' >/dev/null
	$(LOCK) pyproject.toml - --extra test -c requirements.lock -o requirements-test.lock <<< '$(BUILD)' >/dev/null

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
