# Needs python3 (3.11 to 3.13) and make. Everything else comes from requirements.lock into .venv.
#
#   make records SRC=raw/            raw images → data/<dataset>/<version>/
#   make help                        all commands

PYTHON ?= python3
SHELL := /bin/sh
.DEFAULT_GOAL := help

BIN := .venv/bin
export PYTHONSAFEPATH := 1
export TF_CPP_MIN_LOG_LEVEL ?= 2

# A variable given on the command line becomes an option. Its value reaches the shell through the environment alone, so
# that spaces, quotes and dollars in it mean nothing.
flag = $(if $(findstring command,$(origin $2)),--$1 "$$$2")

##@ Datasets

records: .venv/.editable ## SRC=… [DATASET= OUT= LAYOUT= MANIFEST= SPLIT= SIZE= COLOR= ENCODING= VERSION= WORKERS= RUNNER= FLINK_MASTER= ARGS=]
ifndef SRC
	@echo "No SRC given: drawing two small sets of pictures into build/demo"
	@$(BIN)/python -m imageshards.pipeline.demo build/demo
endif
	@$(BIN)/imageshards-records "$${SRC:-build/demo}" $(call flag,dataset,DATASET) $(call flag,out,OUT) \
	  $(call flag,layout,LAYOUT) $(call flag,manifest,MANIFEST) $(call flag,split,SPLIT) $(call flag,size,SIZE) \
	  $(call flag,color,COLOR) $(call flag,encoding,ENCODING) $(call flag,version,VERSION) \
	  $(call flag,workers,WORKERS) $(call flag,runner,RUNNER) $(call flag,flink_master,FLINK_MASTER) $(ARGS)

verify: .venv/.editable ## DATASET=… [OUT=data]: what was published, read again and held against its checksums
	@$(BIN)/imageshards-verify "$${OUT:-data}/$${DATASET:?say which, as in make verify DATASET=pexels}"

report: .venv/.editable ## DATASET=… [OUT=data SRC=]: its report.html, drawn anew
	@$(BIN)/imageshards-report "$${OUT:-data}/$${DATASET:?say which, as in make report DATASET=pexels}" $(call flag,src,SRC)

##@ Classifiers

train: .venv/.editable ## DATASET=… [MODEL=mobilenet|mnist|cnn EPOCHS= DATA= RUNS= ARGS=]
	@$(BIN)/imageshards-train "$${DATASET:?say which, as in make train DATASET=pexels}" $(call flag,model,MODEL) \
	  $(call flag,epochs,EPOCHS) $(call flag,data,DATA) $(call flag,runs,RUNS) $(ARGS)

predict: .venv/.editable ## RUN=runs/… IMAGES=… [ARGS=]: what a run sees in raw photos
	@$(BIN)/imageshards-predict "$${RUN:?say which, as in make predict RUN=runs/pexels-mobilenet IMAGES=photos}" \
	  "$${IMAGES:?say which, as in make predict RUN=runs/pexels-mobilenet IMAGES=photos}" $(ARGS)

app: .venv/.editable ## [RUN=runs/… PORT=8501]: a page that trains on dropped folders and says what is in a photo
	@$(BIN)/imageshards-app $(if $(RUN),"$$RUN") $(call flag,port,PORT) $(ARGS)

##@ Development

test: .venv/.editable ## all tests
	@$(BIN)/python -m pytest

bench: .venv/.editable ## [QUICK=1]: floor, ours and peers on the same pictures, in one run
	@$(BIN)/python tests/benchmarks/bench.py

fuzz: .venv/.editable ## [SECONDS=600]: mutated image files against the normalization, until one breaks it
	@$(BIN)/python tests/fuzz.py build/fuzz -max_total_time="$${SECONDS:-600}"

check: .venv/.editable ## format, lint and types
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy

format: .venv/.editable ## format and mend what the linter can
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

clean: ## all that make made, but for data/ and runs/
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

##@ The environment

.venv/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
	  f"Python {v[0]}.{v[1]} is too old or too new: give one from 3.11 to 3.13, as in make PYTHON=python3.12")'
	@echo "Setting up .venv, once: about 3 GB, most of it TensorFlow"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m compileall -q -j 0 .venv/lib || true
	@touch $@

# An editable install in strict mode is a tree of links under build/, made anew when the list of files changes.
.venv/.editable: .venv/.locked pyproject.toml build/sources.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --config-settings editable_mode=strict --editable .
	@$(BIN)/python -m compileall -q build/__editable__*
	@touch $@

SOURCES := $(shell find pipeline datasets train -type f -not -name '*.pyc' 2>/dev/null | LC_ALL=C sort)

build/sources.txt: FORCE
	@mkdir -p build
	@echo "$(SOURCES)" | cmp -s - $@ || echo "$(SOURCES)" > $@

FORCE:
.PHONY: records verify report train predict app test bench fuzz check format clean help FORCE
