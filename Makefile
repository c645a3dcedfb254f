# Needs python3 (3.11 to 3.13) and make. The rest is installed into .venv when it is first needed, from requirements/.
#
#   make records SRC=raw/            labelled images → data/<dataset>/<version>/
#   make help                        all commands

PYTHON ?= python3
SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
DEMO := build/demo/demo_fruit
export PYTHONSAFEPATH := 1

# The variables of the command line, as they were typed: make would read a dollar in them as its own.
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command%,$(origin $(name))),$(name)))
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name)))$(eval export $(name)))

# Each command's variables, SIZE for --size, stand in NAME.takes; all other options go into ARGS, as a shell reads them.
# Values reach the shell through the environment, so that spaces, quotes and dollars in them mean nothing.
options = $(foreach name,$(filter $1,$(GIVEN)),--$(shell echo $(name) | tr A-Z a-z) "$$$(name)") $(ARGS)

##@ Datasets

records.takes := SRC DATASET OUT LAYOUT MANIFEST SPLIT SIZE COLOR ENCODING VERSION WORKERS RUNNER FLINK_MASTER ARGS
records: has-src $(if $(findstring ://,$(value SRC) $(value OUT)),.venv/.buckets) .venv/.editable ## labelled images → data/<dataset>/<version>/; a demo without SRC
	@$(if $(value SRC),:,$(BIN)/python -m imageshards.pipeline.demo $(DEMO))
	@$(BIN)/imageshards-records $(if $(value SRC),"$$SRC",$(DEMO) $(if $(value SIZE),,--size 64)) \
	  $(call options,$(filter-out SRC ARGS,$(records.takes)))

verify.takes := DATASET OUT
verify: has-DATASET .venv/.editable ## holds a published dataset against its checksums
	@$(BIN)/imageshards-verify "$(folder)"

report.takes := DATASET OUT SRC
report: has-DATASET .venv/.editable ## draws a dataset's report.html again
	@$(BIN)/imageshards-report "$(folder)" $(call options,SRC)

##@ Classifiers

train.takes := DATASET MODEL EPOCHS DATA RUNS ARGS
train: has-DATASET .venv/.train .venv/.editable ## a classifier of a dataset → runs/<dataset>-<model>/; MODEL=mobilenet, mnist or cnn
	@$(BIN)/imageshards-train "$$DATASET" $(call options,MODEL EPOCHS DATA RUNS)

predict.takes := RUN IMAGES ARGS
predict: has-RUN has-IMAGES .venv/.train .venv/.editable ## what a run sees in photos
	@$(BIN)/imageshards-predict "$$RUN" "$$IMAGES" $(call options)

evaluate.takes := RUN IMAGES DATA ARGS
evaluate: has-RUN has-IMAGES .venv/.train .venv/.editable ## how often a run is right; IMAGES is a dataset, or a folder
	@$(BIN)/imageshards-evaluate "$$RUN" "$$IMAGES" $(call options,DATA)

serve.takes := RUN PORT
serve: has-RUN ## the page of a run that was trained with ARGS="--export web", on this machine
	@test -e "$$RUN/web/index.html" || { echo "$$RUN has no page: make train with ARGS=\"--export web\" makes one" >&2; exit 2; }
	@$(PYTHON) -m http.server --bind 127.0.0.1 --directory "$$RUN/web" "$${PORT:-8000}"

app.takes := RUN PORT ARGS
app: .venv/.app .venv/.editable ## a page that trains on dropped folders and says what is in a photo
	@$(BIN)/imageshards-app $(if $(value RUN),"$$RUN") $(call options,PORT)

##@ Development

test.takes := ARGS
test: .venv/.dev .venv/.editable ## all tests; ARGS="-m 'not slow'" for the quick ones
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

test-cluster.takes := ARGS
test-cluster: .venv/.dev .venv/.editable ## the job on Flink and on Spark; needs Java and Maven, and fetches 400 MB once
	@TEST_CLUSTER=1 $(BIN)/python -m pytest tests/test_engines.py $(ARGS)

bench.takes := QUICK
bench: .venv/.dev .venv/.editable ## floor, ours and peers on the same pictures; QUICK=1 for fewer
	@$(BIN)/python tests/benchmarks/bench.py

fuzz.takes := SECONDS
fuzz: .venv/.dev .venv/.editable ## mutated image files against the normalization; SECONDS=600
	@$(BIN)/python tests/fuzz.py build/fuzz -max_total_time="$${SECONDS:-600}"

check: .venv/.dev .venv/.editable ## format, lint and types
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy

format: .venv/.dev ## formats, and mends what the linter can
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

lock.takes := ARGS
lock: .venv/.dev ## pins what pyproject.toml asks for; ARGS=--upgrade for the newest versions
	@$(compile) --all-extras --group dev -o requirements/dev.lock
	@$(compile) $(within_dev) -o requirements/records.lock
	@$(compile) $(within_dev) --extra s3 --extra gcs -o requirements/buckets.lock
	@$(compile) $(within_dev) --extra train -o requirements/train.lock
	@$(compile) $(within_dev) --extra train --extra app -o requirements/app.lock

clean: ## removes all that make made, but for data/ and runs/
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

help: ## this list
	@awk 'BEGIN {print "Below each command stand its variables, as in make records SRC=photos SIZE=128.\nAll other options go into ARGS, as in ARGS=\"--quality 95 --strict\"; docs/options.md explains them."} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+\.takes := / {takes = $$0; sub(/.*:= /, "", takes)} \
	  /^[a-z-]+:.*## / {name = $$1; sub(/:.*/, "", name); sub(/.*## /, ""); printf "  make %-14s%s\n", name, $$0; \
	    if (takes) printf "  %19s%s\n", "", takes; takes = ""}' Makefile

# What the commands need

COMMANDS := $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))
STRANGE := $(firstword $(filter-out $(COMMANDS) .venv/%,$(MAKECMDGOALS)))
LIKE := $(firstword $(if $(STRANGE),$(filter $(STRANGE)%,$(COMMANDS))))
$(if $(STRANGE),$(error there is no command $(STRANGE); $(if $(LIKE),did you mean $(LIKE)?,make help \
  lists all, and a folder of images is given as SRC=folder)))

TAKEN := $(foreach goal,$(MAKECMDGOALS),$($(goal).takes)) PYTHON
UNKNOWN := $(firstword $(filter-out $(TAKEN),$(GIVEN)))
MEANT = $(foreach name,$(TAKEN),$(if $(filter $(UNKNOWN),$(shell echo $(name) | tr A-Z a-z)),$(name)))
$(if $(UNKNOWN),$(if $(MAKECMDGOALS),,$(error say what to make, as in make records SRC=photos; make help lists all)))
$(if $(UNKNOWN),$(error make $(MAKECMDGOALS) has no $(UNKNOWN); $(if $(strip $(MEANT)),did you mean $(strip $(MEANT))?,it takes \
  $(TAKEN); other options of a command go into ARGS)))

# DATASET is a name, of a folder in OUT, or a path.
folder = $$(case "$$DATASET" in (*/*) ;; (*) printf %s "$${OUT:-data}/" ;; esac)$$DATASET

# A folder is looked for here before anything is installed; later the command itself says more.
has-src:
	@case "$$SRC" in (*://*) exit ;; esac; \
	$(if $(filter SRC,$(GIVEN)),test -n "$$SRC" || { echo "SRC is empty: give the folder with your images" >&2; exit 2; },:); \
	$(if $(filter SRC,$(GIVEN)),test -e .venv/.editable || test -e "$$SRC" || { echo "SRC=$$SRC: there is no such folder" >&2; exit 2; },:); \
	$(if $(filter DATASET,$(GIVEN)),test -n "$$SRC" || { echo "say where the images are: SRC=folder" >&2; exit 2; },:)

has-%:
	@test -n "$$$*" || { echo "say which $*: make help shows what each command takes" >&2; exit 2; }

UV := $(shell command -v uv)
INSTALL := $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode,\
  $(BIN)/python -m pip install --quiet --disable-pip-version-check)

.venv/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
	  f"Python {v[0]}.{v[1]} is too old or too new: give one from 3.11 to 3.13, as in make PYTHON=python3.12")'
	@$(PYTHON) -m venv --clear .venv
	@touch $@

size.records := 0.5 GB
size.buckets := 0.1 GB
size.train := 2.1 GB
size.app := 0.1 GB
size.dev := 0.5 GB

compile = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate $(ARGS)
within_dev = --extra heic --group build --constraint requirements/dev.lock

# A step of the set-up. The locks agree with one another, so that no step undoes another's.
.venv/.%: requirements/%.lock .venv/.python
	@printf '%s' 'Installing what "$*" needs, once ($(size.$*)) … '; start=$$(date +%s); \
	$(INSTALL) --no-deps --require-hashes -r $< && echo "$$(($$(date +%s) - start)) s"
	@touch $@

# An editable install in strict mode is a tree of links under build/, made again when the list of files changes.
.venv/.editable: .venv/.records pyproject.toml build/sources.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --config-settings editable_mode=strict --editable .
	@$(BIN)/python -m compileall -q build/__editable__*
	@touch $@

SOURCES := $(shell find pipeline datasets train -type f -not -name '*.pyc' 2>/dev/null | LC_ALL=C sort)

build/sources.txt: FORCE
	@mkdir -p build
	@echo "$(SOURCES)" | cmp -s - $@ || echo "$(SOURCES)" > $@

FORCE:
.PHONY: records verify report train predict evaluate serve app test test-cluster bench fuzz check format lock clean help has-src FORCE
