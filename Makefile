# `make help` lists every verb.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

STUDY ?= phantom
DATA ?=
SET ?=
RESULTS ?= results
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
GPU ?= $(shell nvidia-smi -L 2>/dev/null | grep -c '^GPU ')
EXECUTOR ?=
CLUSTER ?=
TARGETS ?=
BEFORE ?=
AFTER ?=
VERSIONS ?=
MAPS_BEFORE ?=
MAPS_AFTER ?=
LESIONS ?=
FINDINGS ?=
LAYER ?=
PREPROCESSING ?=
CLASSES ?=
SIZE ?=
NAME ?=
RULE ?=
BACKBONES ?=
REFERENCE ?=
KILLS ?= 25
INTERRUPTS ?= 5
SUBJECTS ?=
MINUTES ?=

# What a user says reaches the programs as it is: neither make nor the shell expands it again.
AUDIT := BEFORE AFTER VERSIONS MAPS_BEFORE MAPS_AFTER LESIONS FINDINGS LAYER PREPROCESSING CLASSES \
  SIZE NAME RULE
SAID := STUDY DATA SET RESULTS REFERENCE $(AUDIT)
$(foreach name,$(SAID),$(eval override $(name) := $$(value $(name))))
# An empty RESULTS is the default one; nothing but a shell knows that ~ is the home of a user.
override RESULTS := $(or $(RESULTS),results)
override RESULTS := $(subst <begin>,,$(subst <begin>~/,$(HOME)/,<begin>$(RESULTS)))
export $(SAID)

# Snakemake, Jupyter and matplotlib write at home, and ask who runs them. In a container or a batch job there
# may be neither a name nor a home that can be written: then it is one in the checkout.
export USER := $(or $(USER),nobody)
ifeq ($(shell [ -w "$${HOME:-}" ] && echo yes),)
export HOME := $(CURDIR)/.snakemake/home
endif

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
LOCK := $(if $(filter-out 0,$(GPU)),requirements-gpu.lock,requirements.lock)
CLUSTER_LOCK := $(if $(CLUSTER),requirements-$(CLUSTER).lock)
BOOK_VENV ?= .venv-book
PARAMS := "$$RESULTS/$$STUDY/params.yml"
PLAN := "$$RESULTS/$$STUDY/params.plan.yml"
# Two at a time, in the order of tests/conftest.py: the tests of a file share what they build.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder
export PYTHONHASHSEED := 0

SNAKEMAKE = $(PY) -m snakemake --snakefile Snakefile \
  $(if $(EXECUTOR),--profile profiles/$(EXECUTOR),--cores $(CORES) --resources gpu=$(GPU)) \
  --config gpu=$(GPU) results="$$RESULTS" $(if $(BEFORE),before="$$BEFORE") \
  --rerun-triggers mtime params input --max-checksum-file-size 50000000 \
  --keep-going --rerun-incomplete

.PHONY: help setup reproduce verify judge report sensitivity remedies audit plan check test test-processors kills lint format lock notebooks reference pages book source-weights lab bench clean

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
	@echo
	@echo 'Variables: STUDY=phantom|smoke|shortcut|real|paper  DATA=<folder of class folders | manifest.csv>'
	@echo '           SET="seeds=[0,1,2] finetune.epochs=5"  CORES=n  GPU=n  RESULTS=folder'
	@echo '           EXECUTOR=slurm|kubernetes (profiles/, after make setup CLUSTER=slurm|kubernetes)'

setup: $(STAMP)  ## make the environment in .venv from the lock (GPU=1 adds CUDA, CLUSTER=slurm|kubernetes)
ifneq ($(CLUSTER),)
	@[ -e $(CLUSTER_LOCK) ] || { echo 'error: CLUSTER=$(CLUSTER): expected slurm or kubernetes' >&2; exit 2; }
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(CLUSTER_LOCK)
endif

$(STAMP): requirements.lock requirements-gpu.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  sys.exit(None if (3, 11) <= v <= (3, 13) else f"error: {sys.executable} is Python {v[0]}.{v[1]}; \
	expected 3.11 to 3.13. Name another one: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

reproduce: $(STAMP)  ## run a study to the end (STUDY, DATA, SET); continues where it stopped
	@$(PY) -m lib run "$$STUDY" --data "$$DATA" --set "$$SET" --results "$$RESULTS" \
	  --parent "$$PPID" --cores $(CORES) -- \
	  $(SNAKEMAKE) --configfile $(PARAMS) --quiet host reason -- $(TARGETS)
	@$(if $(TARGETS),,$(PY) -m lib overview "$$STUDY" --results "$$RESULTS")

verify: $(STAMP)  ## is your finished STUDY the published one, within what seeds do? (REFERENCE: its folder)
	@$(PY) -m lib verify "$$STUDY" --results "$$RESULTS" $(if $(REFERENCE),--reference "$$REFERENCE")

judge: $(STAMP)  ## the verdicts of a published STUDY anew from its published pairs, without any training
	@$(PY) -m lib judge "$$STUDY" $(if $(REFERENCE),--reference "$$REFERENCE")

report: $(STAMP)  ## build the page and the case browser of a STUDY, and what they need
	@$(MAKE) --no-print-directory reproduce TARGETS=report

sensitivity: $(STAMP)  ## how drift depends on layer, class, grid, reading and learnt weights (STUDY, DATA, SET)
	@$(MAKE) --no-print-directory reproduce TARGETS="sensitivity randomisation"
	@[ ! -e "$$RESULTS/$$STUDY/report/index.html" ] || $(MAKE) --no-print-directory report

remedies: $(STAMP)  ## what data remedies change, for probes and (BEFORE=results) for drift
	@$(MAKE) --no-print-directory reproduce TARGETS=remedies

audit: $(STAMP)  ## did the evidence of your own model move? (BEFORE, AFTER, DATA; book/audit.md says more)
	@$(PY) -m lib audit --before "$$BEFORE" --after "$$AFTER" --versions "$$VERSIONS" \
	  --maps-before "$$MAPS_BEFORE" --maps-after "$$MAPS_AFTER" --data "$$DATA" \
	  --lesions "$$LESIONS" --findings "$$FINDINGS" --layer "$$LAYER" \
	  --preprocessing "$$PREPROCESSING" --classes "$$CLASSES" --size "$$SIZE" --name "$$NAME" \
	  --rule "$$RULE" --set "$$SET" --results "$$RESULTS"

plan: $(STAMP)  ## how long reproduce takes, what it can judge, and what it would run
	@$(PY) -m lib plan "$$STUDY" --data "$$DATA" --set "$$SET" \
	  --cores $(CORES) --write $(PLAN)
	@$(SNAKEMAKE) --configfile $(PLAN) --dry-run --quiet rules -- $(TARGETS)

check: $(STAMP) lint  ## what can be checked in minutes: builds no neural network, runs no notebook
	$(PY) -m pytest $(WORKERS) -m "not backbone and not network and not study" tests

test: $(STAMP) lint  ## lint, unit tests, smoke study with all backbones, notebook regression
	$(PY) -m pytest $(WORKERS) tests
	$(PY) -m pytest --nbval-lax --nbval-current-env -p no:cacheprovider notebooks
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	  echo 'NOT SEEN: no browser is installed, so nobody has looked at the pages of the report (Debian: apt-get install chromium)'

# Not in CI. The processors differ by the instructions that oneDNN, BLAS and NumPy may use.
PROCESSORS = \
  'ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem NPY_DISABLE_CPU_FEATURES=X86_V3,X86_V4,AVX512_ICL,AVX512_SPR' \
  'ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell NPY_DISABLE_CPU_FEATURES=X86_V4,AVX512_ICL,AVX512_SPR' \
  'TF_ENABLE_ONEDNN_OPTS=0' \
  'CORES=1 TF_NUM_INTRAOP_THREADS=1 OMP_NUM_THREADS=1' \
  'CORES=6 TF_NUM_INTRAOP_THREADS=2 OMP_NUM_THREADS=2' \
  'ONEDNN_MAX_CPU_ISA=ALL'
TESTS ?= tests/test_stored_study.py tests/test_workflow.py tests/attribution tests/models tests/inference tests/drift

test-processors: $(STAMP)  ## what depends on the processor, as on six others (TESTS: some files; hours)
	@failed=; for settings in $(PROCESSORS); do echo "== $$settings"; \
	  env $$settings $(PY) -m pytest -q $(WORKERS) $(TESTS) || failed="$$failed; $$settings"; done; \
	  [ -z "$$failed" ] || { echo "error: tests fail under$${failed#;}" >&2; exit 1; }

kills: $(STAMP)  ## kill runs at random moments; the next one must end the same (KILLS, INTERRUPTS of each; MINUTES)
	PYTHONPATH=tests $(PY) -u tests/kills.py --kills $(KILLS) --interrupts $(INTERRUPTS) \
	  $(if $(MINUTES),--minutes $(MINUTES)) $(SUBJECTS)

lint: $(STAMP)  ## ruff on modules, notebooks and tests; which wing may import which
	@$(dir $(PY))ruff check .
	@$(dir $(PY))lint-imports --no-logo
	@$(dir $(PY))ruff format --check .

format: $(STAMP)  ## let ruff rewrite what it can
	@$(dir $(PY))ruff check --fix .
	@$(dir $(PY))ruff format .

lock: $(STAMP)  ## resolve the dependencies anew (needs the network and uv)
	$(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install --quiet uv
	$(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	$(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" --extra gpu \
	  --constraint requirements.lock pyproject.toml -o requirements-gpu.lock
	for cluster in slurm kubernetes; do $(VENV)/uv/bin/uv pip compile --quiet --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" --group $$cluster --constraint requirements.lock \
	  -o requirements-$$cluster.lock; done
	$(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" \
	  book/requirements.in -o book/requirements.lock

notebooks: $(STAMP)  ## execute every notebook on its small defaults and store its outputs
	$(PY) notebooks/render.py

reference: $(STAMP)  ## publish a finished STUDY into results/reference (NAME: another folder)
	$(PY) -m lib publish "$$STUDY" --results "$$RESULTS" --name "$$NAME" --command \
	  "make reproduce STUDY=$$STUDY$(if $(DATA), DATA=<manifest.csv>)$(if $(SET), SET=\"$$SET\")"

pages: $(STAMP)  ## make README, published pages and their picture anew from the published tables
	@$(PY) -m lib pages

book: $(BOOK_VENV)/.installed  ## notebooks, glossary and published studies as a book that opens from disk
	@$(BOOK_VENV)/bin/python book/build.py "$$RESULTS/book"
	@echo "Open $$RESULTS/book/index.html"

$(BOOK_VENV)/.installed: book/requirements.lock
	$(PYTHON) -m venv $(BOOK_VENV)
	$(BOOK_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Hours on two cores, minutes on a GPU; run it again after an interruption. BACKBONES names some.
source-weights: $(STAMP)  ## train the backbones on drawn radiographs anew, for lib/models/shipped (hours)
	$(PY) -m lib source-weights $(BACKBONES) --root "$$RESULTS/source" $(if $(DATA),--real "$$DATA")

lab: $(STAMP)  ## open the index of the notebooks in JupyterLab
	$(PY) -m jupyter lab --notebook-dir . notebooks/00_index.ipynb

bench: $(STAMP)  ## measure the budgets (ratios in one run)
	$(PY) -m bench.attribution
	$(PY) -m bench.transfer
	$(PY) -m bench.memory
	$(PY) -m bench.metrics
	$(PY) -m bench.inference
	$(PY) -m bench.decoding
	$(PY) -m bench.shares

clean:  ## delete what runs wrote for STUDY (the shared weights and the reference stay)
	rm -rf "$$RESULTS/$${STUDY:?}"
