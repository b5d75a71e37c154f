# `make demo` and `make test` are all a fresh clone needs: both install into .venv what is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
export OMP_NUM_THREADS ?= 1

.PHONY: help install demo bench bench-overhead bench-regret bench-fidelity bench-publishing bench-queue bench-reports test faults test-queue test-gpu check format check-k8s train clean

help:  ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); the first time this takes a few minutes."
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(STAMP)  ## install into .venv

demo: $(STAMP)  ## a local fleet makes eight videos, and shows what it learnt
	$(BIN)/fastflow-ray demo

bench: $(STAMP)  ## other ways of making generation cheaper and ours, side by side (about ten minutes)
	$(BIN)/fastflow-ray bench $(BENCH)

bench-overhead: $(STAMP)  ## what a step costs beside the network, at Wan's size (about five minutes)
	$(BIN)/fastflow-ray bench-overhead $(BENCH)

bench-regret: $(STAMP)  ## how fast simulated fleets of 1, 8 and 64 workers learn (about three minutes)
	$(BIN)/fastflow-ray bench-regret $(BENCH)

bench-fidelity: $(STAMP)  ## whether a promised fidelity is kept, and what it takes (about half an hour)
	$(BIN)/fastflow-ray bench-fidelity $(BENCH)

bench-publishing: $(STAMP)  ## what the device waits for between two videos, with the publishing thread and without (minutes)
	$(BIN)/fastflow-ray bench-publishing $(BENCH)

bench-queue: $(STAMP)  ## claims with 100,000 jobs queued, the heartbeats of 1,000 workers (about two minutes)
	$(BIN)/fastflow-ray bench-queue $(BENCH)

bench-reports: $(STAMP)  ## what merging the reports of a large fleet costs (seconds)
	$(BIN)/fastflow-ray bench-reports $(BENCH)

check: $(STAMP)  ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## check, then all tests: two files at a time, for most of them wait
	$(BIN)/pytest --numprocesses 2 --dist loadfile

FAULT_TOOLS := spin gcc faketime

faults: $(STAMP)  ## the tests that kill and wait for minutes; ends with a table, also in out/faults (about half an hour)
	@for tool in $(FAULT_TOOLS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	test -z "$$missing" || { echo "Missing:$$missing. Install: apt-get install spin gcc faketime" >&2; exit 1; }
	@$(BIN)/pytest -m fault --timeout 600 --ignore tests/faults --ignore tests/model; others=$$?; \
	$(BIN)/pytest tests/faults tests/model -m "fault or not fault" --timeout 600 && exit $$others

test-queue: $(STAMP)  ## the queue's tests on another server: make test-queue SERVER=/folder/of/redis-server
	PATH="$(SERVER):$$PATH" $(BIN)/pytest tests/queue

test-gpu: $(STAMP)  ## the tests that need CUDA (about three minutes on a fast GPU)
	$(BIN)/pytest -m gpu -o filterwarnings=default tests/gpu

format: $(STAMP)  ## let ruff mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check-k8s: $(STAMP)  ## check the Kubernetes manifests: make check-k8s CRD=ray.io_rayclusters.yaml
	$(BIN)/python -m k8s.check $(if $(CRD),--crd $(CRD))

train: $(STAMP)  ## train the embedded model from nothing (about 1.5 hours on 2 free cores)
	OMP_NUM_THREADS=$$(nproc) $(BIN)/python -m fastflow_ray.training.shapes

clean:  ## remove what was installed or made
	rm -rf $(VENV) out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
