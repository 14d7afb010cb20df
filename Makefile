# Two commands: `make run` and `make test`. Neither needs Docker, an AWS account or root.
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory

# Bytecode beside the sources would be built into the layer, and change what SAM's cache sees.
export PYTHONDONTWRITEBYTECODE := 1
# SAM tells nobody, and writes nothing into a person's home.
export SAM_CLI_TELEMETRY := 0
export __SAM_CLI_APP_DIR := $(CURDIR)/.aws-sam/home

python := .venv/bin/python
stack := $(python) -m infra.local.stack
compile := .venv/bin/uv pip compile pyproject.toml --quiet --generate-hashes --python-version 3.13 \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.PHONY: help env build run stop status logs inbox clean demo drill events test check lock countries replay timeline operate bench

help: ## What there is
	@echo "Portcullis. Needs Linux and Python 3.13; everything else it fetches."
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Run two stacks: make run STACK=other PUBLIC_PORT=9080 INTERNAL_PORT=9081 AWS_PORT=5702"

env: ## Make .venv from the lock, if it is not made yet (PYTHON=/path/to/python3.13)
	@PYTHON="$(PYTHON)" infra/environment.sh

build: env ## Build what is deployed into .aws-sam/build
	@$(python) -m infra.build

run: env ## Run the stack here, until Ctrl-C (DETACH=1: return when it is ready)
	@$(stack) run $(if $(DETACH),--detach)

stop: env ## Stop the stack; its state is kept
	@$(stack) stop

status: env ## Whether the stack runs, where, since when, which release
	@$(stack) status

logs: env ## Follow the logs of the stack and of its functions
	@$(stack) logs

inbox: env ## Print, and take out, the notices that arrived for the owners of accounts
	@$(python) -m infra.local.inbox

clean: env ## Stop the stack and remove its state and every build
	@$(stack) clean
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

demo: env ## Open two accounts on the running stack and move money between them
	@$(python) -m tests.support.demo

drill: env ## Steal a session across Europe, on a stack of its own that is removed afterwards
	@PYTHONPATH=shared $(python) -m tests.support.drill

timeline: env ## What happened to an account, from the audit trail (ACCOUNT=id, ARGS="--bucket NAME" for AWS)
	@PYTHONPATH=shared $(python) -m infra.timeline $(ACCOUNT) $(ARGS)

replay: env ## Judge recorded verdicts again (POLICY=new.json FROM=verdicts.json ARGS="--export ...")
	@PYTHONPATH=shared $(python) -m infra.replay $(if $(POLICY),--policy $(POLICY)) \
		$(if $(FROM),--from $(FROM)) $(ARGS)

operate: env ## Sign and send an operator's order (ARGS="lock-down --reason ...", see docs/runbooks)
	@PYTHONPATH=shared $(python) -m infra.operate $(ARGS)

bench: env ## Count the round trips of each operation against its budget, and print its CPU time
	@$(python) -m pytest tests/benchmarks -q --no-header -p no:cacheprovider -s

events: env ## Write live events for the running stack into .local/ (for sam local invoke)
	@PYTHONPATH=shared $(python) -m tests.support.sample_events --live

test: env ## Every test that needs no browser and no root (ARGS=..., e.g. ARGS="-k wallet")
	@$(python) -m pytest -n 2 --dist loadgroup --durations 15 \
		--ignore tests/browser --ignore tests/benchmarks $(ARGS)

check: env ## Format, lint, types, import contracts, templates
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	$(python) -m mypy
	PYTHONPATH=shared .venv/bin/lint-imports
	.venv/bin/cfn-lint template.yaml infra/*.yaml
	AWS_DEFAULT_REGION=us-east-1 $(python) -m samcli validate --lint
	$(python) -m pytest tests/template

countries: env ## Write the table of countries anew from GeoNames, and print what it can prove
	@PYTHONPATH=shared $(python) -m infra.countries $(ARGS)

lock: env ## Write the three locks anew from pyproject.toml (UPGRADE=1: newest versions)
	@$(compile) --python-platform aarch64-manylinux_2_34 -o shared/requirements.txt >/dev/null
	@$(compile) --python-platform aarch64-manylinux_2_34 --extra passkeys \
		-o infra/layers/passkeys/requirements.txt >/dev/null
	@$(compile) --group dev --all-extras -c shared/requirements.txt \
		-o requirements-dev.txt >/dev/null
