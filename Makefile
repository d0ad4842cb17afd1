# Needs Python 3.11 or later with venv, make and git. Everything else, Node included, comes as
# Python wheels into .venv. `make demo` and `make test` each set up all they need.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Also where a container's default is not to: each process of the tests would compile and rewrite
# all it imports again, and that is half of what importing takes.
export PYTHONDONTWRITEBYTECODE :=

BASE_PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PYTHON := $(VENV)/bin/python
REQUIREMENTS := $(VENV)/.requirements-installed
COMMAND := $(VENV)/.command-installed
LAYER := build/.layer-built
MIGRATION_LAYER := build/.migration-layer-built
MERMAID := build/mermaid/mermaid.min.js
ASSEMBLY := cdk.out/manifest.json

# Folders are in the list so that a deleted file counts as a change too.
SOURCES := $(shell find functions greenlane infra statemachines \( -name __pycache__ -o -path greenlane/local \
  -o -path greenlane/cli \) -prune -o -print)
CHECKED := app.py infra functions greenlane tests benchmarks

.PHONY: help setup layer synth demo demo-all demo-regions test parity proofs faults \
  check bench bench-judge bench-rollback bench-cold-start bench-planning bench-experiments bench-flags \
  bench-migration-rules bench-migrations docs picture local-up local-down clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(COMMAND) $(LAYER) $(MIGRATION_LAYER) ## Install everything, the `greenlane` command included, into .venv.

layer: $(LAYER) $(MIGRATION_LAYER) ## Build the dependency layers of the functions (Linux on arm64, no Docker).

synth: $(ASSEMBLY) ## Write the CloudFormation templates to cdk.out, offline.

demo: $(REQUIREMENTS) $(ASSEMBLY) ## Run the demo; SCENE=name runs one scene.
	$(PYTHON) -m greenlane.cli.main demo $(if $(SCENE),--scene $(SCENE))

demo-all: $(REQUIREMENTS) $(ASSEMBLY) ## Run every scene of the demo.
	$(PYTHON) -m greenlane.cli.main demo --all

demo-regions: $(REQUIREMENTS) $(ASSEMBLY) ## Run three regions under load; a bad version is caught in the second wave.
	$(PYTHON) -m greenlane.local.demo.regions $(ARGS)

# With ARGS a part may have no test that is chosen, which pytest answers with 5.
NONE_CHOSEN := $(if $(ARGS),|| [ $$? -eq 5 ])

test: $(REQUIREMENTS) $(ASSEMBLY) ## Run the tests; ARGS='-k name' chooses.
	# Scenarios mostly wait, so four at once; in processes of their own, for the local cloud
	# shares its process with the test, and what other tests leave in memory makes it slow. The local
	# cloud's own tests run apart too: it mends moto for the whole process, and other tests work with
	# moto as it is. One after the other: beside what only works, what must happen in time is late.
	# The rest works more than it waits, and each process imports all of it: three.
	$(PYTHON) -m pytest -n 4 --dist load --maxschedchunk 1 $(ARGS) tests/scenarios $(NONE_CHOSEN)
	$(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore tests/scenarios --ignore tests/unit/local $(ARGS) $(NONE_CHOSEN)
	$(PYTHON) -m pytest -n 4 --dist loadfile $(ARGS) tests/unit/local $(NONE_CHOSEN)

parity: $(REQUIREMENTS) ## Compare 10,000 random expressions with the alarms made of them.
	GREENLANE_EXAMPLES=10000 $(PYTHON) -m pytest tests/unit/health/test_alarm_parity.py $(ARGS)

proofs: $(REQUIREMENTS) ## Try everything of what `make test` takes a part of (more than half an hour).
	GREENLANE_WHOLE=1 $(PYTHON) -m pytest -n 2 tests/api tests/unit/adopting tests/unit/experiments tests/unit/regions tests/unit/migrations tests/workflows tests/faults $(ARGS)

faults: $(REQUIREMENTS) ## Run the whole fault matrix and write docs/fault-matrix.md (some 25 minutes).
	$(PYTHON) -m tests.faults.matrix $(ARGS)

check: $(REQUIREMENTS) $(ASSEMBLY) ## Lint, types, templates, and the structure of the repository.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy $(wildcard $(CHECKED))
	$(VENV)/bin/cfn-lint --config-file .cfnlintrc
	$(PYTHON) -m pytest -q tests/infra/test_structure.py

bench-judge: $(REQUIREMENTS) ## Measure how often the judge is wrong and write docs/judgement-benchmark.md.
	$(PYTHON) -m benchmarks.judgement $(ARGS)

bench: $(REQUIREMENTS) $(ASSEMBLY) ## Measure what a canary costs beside a loop that polls.
	$(PYTHON) -m benchmarks.orchestration $(ARGS)

bench-rollback: $(REQUIREMENTS) $(ASSEMBLY) ## Time the way from a red alarm to the traffic's return.
	$(PYTHON) -m benchmarks.alarm_to_traffic $(ARGS)

bench-cold-start: $(REQUIREMENTS) ## Time a cold start of a flag's lookup beside one as it is usually written.
	$(PYTHON) -m benchmarks.cold_start $(ARGS)

bench-planning: $(REQUIREMENTS) ## Time the planner of Regions, and compare its plans with the file's own order.
	$(PYTHON) -m benchmarks.planning

bench-experiments: $(REQUIREMENTS) ## Measure how often A/B tests are wrong and write docs/experiments-benchmark.md.
	$(PYTHON) -m benchmarks.experiments $(ARGS)

bench-flags: $(REQUIREMENTS) ## Time one evaluation of a flag beside other libraries (installs them into build/).
	$(PYTHON) -m benchmarks.flags $(ARGS)

bench-migration-rules: $(REQUIREMENTS) ## Measure how often the rules of migrations are right and write docs/migrations-rules-benchmark.md.
	$(PYTHON) -m benchmarks.migration_rules

bench-migrations: $(REQUIREMENTS) ## Measure what migrations cost writers and write docs/migrations-benchmark.md (some 15 minutes).
	$(PYTHON) -m benchmarks.migrations $(ARGS)

docs: $(REQUIREMENTS) $(MERMAID) ## Build the documentation as a site in build/site.
	$(PYTHON) docs/generate_cli.py
	$(PYTHON) docs/generate_api.py
	$(PYTHON) docs/compute_cost.py
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

picture: $(REQUIREMENTS) $(ASSEMBLY) ## Run two canaries and picture the live view in docs/images/demo.svg.
	$(PYTHON) docs/render_demo.py

local-up: $(REQUIREMENTS) $(ASSEMBLY) ## Keep a local cloud running; ends with local-down.
	$(PYTHON) -m greenlane.cli.main local up

local-down: $(REQUIREMENTS) ## End the local cloud.
	$(PYTHON) -m greenlane.cli.main local down

clean: ## Remove what was built; .venv stays.
	rm -rf build cdk.out .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print0 | xargs -0 -r rm -rf

$(VENV)/pyvenv.cfg:
	$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	$(BASE_PYTHON) -m venv $(VENV)

$(REQUIREMENTS): requirements.txt | $(VENV)/pyvenv.cfg
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@

$(COMMAND): pyproject.toml $(REQUIREMENTS)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# For Lambda's Python and processor, whatever runs here. Without --no-deps pip would ask for
# wheels of packages that the runtime has already; the files name each one instead.
INSTALL_FOR_LAMBDA := $(PYTHON) -m pip install --quiet --disable-pip-version-check \
  --platform manylinux2014_aarch64 --platform manylinux_2_28_aarch64 --implementation cp --python-version 3.14 \
  --only-binary=:all: --no-compile --no-deps

$(LAYER): functions/requirements.txt $(REQUIREMENTS)
	rm -rf build/layer
	$(INSTALL_FOR_LAMBDA) --target build/layer/python --requirement $<
	touch $@

$(MIGRATION_LAYER): functions/requirements-migrations.txt $(REQUIREMENTS)
	rm -rf build/migration-layer
	$(INSTALL_FOR_LAMBDA) --target build/migration-layer/python --requirement $<
	touch $@

$(MERMAID): docs/fetch_mermaid.py | $(REQUIREMENTS)
	$(PYTHON) $<

$(ASSEMBLY): app.py cdk.json $(SOURCES) $(LAYER) $(MIGRATION_LAYER) $(REQUIREMENTS)
	# First, for a folder that gets its __pycache__ later would look changed.
	$(PYTHON) -m compileall -q functions greenlane infra
	CDK_OUTDIR=cdk.out $(PYTHON) app.py
	touch $@
