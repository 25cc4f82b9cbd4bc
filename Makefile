# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8080
AIRFLOW_HOME ?= demo/airflow_home
# Mosquitto if it is installed (Debian puts it into /usr/sbin), else amqtt in its own environment
MOSQUITTO := $(shell PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v mosquitto)

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check lock schemas clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# pip fetches uv, checked by hash; uv installs the locked set, checked by hash
$(VENV)/ready: requirements/bootstrap.lock requirements/dev.lock pyproject.toml
	@echo "== setting up $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) || { echo "python3 -m venv failed: on Debian and Ubuntu install python3-venv, then try again" >&2; exit 2; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv-broker/ready: requirements/broker.lock | $(VENV)/ready
	@$(PYTHON) -m venv --clear .venv-broker
	@$(BIN)/uv pip install --quiet --python .venv-broker/bin/python --require-hashes -r requirements/broker.lock
	@touch $@

setup: $(VENV)/ready ## install everything into .venv

demo: setup $(if $(MOSQUITTO),,.venv-broker/ready) ## two update cycles of a generated city through Airflow
	@$(BIN)/cityframe demo

up: setup ## all of Airflow with its page on http://127.0.0.1:8080 (PORT=...), until Ctrl-C
	@$(BIN)/python -m cityframe.orchestration.serve --home $(AIRFLOW_HOME) --port $(PORT)

check: setup ## style, types, rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check .venv-broker/ready ## all checks and tests
	$(BIN)/pytest --numprocesses 2 --dist loadfile

lock: ## compile the locks again from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --all-extras -o requirements/dev.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/runtime.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/broker.lock requirements/broker.in
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/bootstrap.lock requirements/bootstrap.in

clean: ## remove the environments and all that the demo wrote
	rm -rf $(VENV) .venv-broker demo store build
