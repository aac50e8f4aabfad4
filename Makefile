# Every target works on a fresh clone: it makes .venv from a bare Python 3.10 or newer first.
#   make PYTHON=/path/to/python3.12 test      to choose the Python
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
DEVICE ?= auto
BLENDER ?= blender-env/bin/python

SECONDS_OF_FUZZ ?= 600

.PHONY: help demo test test-torch test-newton test-min test-debug fuzz kill lint docs aot bench gpu figures stage-pictures clean

help:            ## show this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /\t/' | expand -t 14

$(STAMP): pyproject.toml
	@$(PYTHON) tasks.py install

demo: $(STAMP)   ## simulate a hand that lifts and turns a mug, refine both, and say which files to open
	$(PYTHON) tasks.py demo --device $(DEVICE)

test: $(STAMP)   ## run all tests
	$(PYTHON) tasks.py test

test-torch: $(VENV)/.installed-torch  ## install torch, and test what needs it
	$(RUN) -m pytest tests/torch_door

$(VENV)/.installed-torch: $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[torch]"
	@touch $@

test-newton: .venv-newton/.installed  ## load and replay stages in Newton, which is installed into .venv-newton
	.venv-newton/bin/python -m pytest tests/newton_door

.venv-newton/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-newton
	.venv-newton/bin/python -m pip install --quiet --disable-pip-version-check -e ".[newton,cv]" "pytest>=8" "trimesh>=4.4"
	@touch $@

test-debug: $(STAMP)  ## the same with Warp's bounds, overwrite and finiteness checks (slow)
	WARPPRIOR_TEST_DEBUG=1 $(RUN) -m pytest

fuzz: $(STAMP)   ## read damaged files of every format for ten minutes, and say in a table what became of them
	$(RUN) -m tests.fuzz --seed 0 --seconds $(SECONDS_OF_FUZZ)

kill: $(STAMP)   ## kill runs at random moments: what was there before, or the new, is there (slow)
	$(RUN) .ci/kill_runs.py

lint: $(STAMP)   ## ruff, and types by pyright
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) .ci/check_types.py

docs: $(VENV)/.docs  ## build the site into out/site; what leads nowhere fails
	rm -rf out/site
	$(RUN) -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --doctree-dir out/.doctrees docs out/site
	@echo "open out/site/index.html"

$(VENV)/.docs: pyproject.toml $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	@touch $@

aot: $(STAMP)    ## compile every kernel for CUDA ahead of time; needs no GPU
	$(RUN) .ci/compile_kernels.py --arch 90

bench: $(STAMP)  ## measure, and compare with the committed baseline
	$(RUN) -m warpprior bench --compare

gpu:             ## compile, compare with a CPU, time and test on a GPU, in 8 minutes (WHEELS=folder: install these)
	$(PYTHON) .ci/gpu.py --output-dir out/gpu --device $(DEVICE:auto=cuda) $(if $(WHEELS),--wheels $(WHEELS))

figures: $(STAMP) ## measure the figures of README and docs/measured.md anew, and draw their pictures (minutes)
	$(RUN) docs/figures.py

stage-pictures: $(STAMP) ## draw the pictures of docs/omniverse.md (BLENDER=a Python with bpy, usd-core and pillow)
	$(RUN) -m warpprior demo --output-dir out/stages/demo --overwrite
	$(RUN) -m warpprior export out/stages/demo/scene --output out/stages/before.usdc --overwrite
	$(RUN) -m warpprior simulate grasp_lift --num-frames 40 --seed 7 --output-dir out/stages/track/scene --overwrite
	$(RUN) -m warpprior track out/stages/track/scene --output-dir out/stages/track/result --overwrite
	$(BLENDER) docs/stage_pictures.py out/stages

test-min: .venv-min/.installed  ## run all tests with the lowest versions pyproject.toml allows
	.venv-min/bin/python -m pytest -n 2 --dist loadfile

.venv-min/.installed: pyproject.toml .ci/minimum_versions.py $(STAMP)
	rm -rf .venv-min
	$(PYTHON) -m venv .venv-min
	$(RUN) .ci/minimum_versions.py > .venv-min/minimum.txt
	.venv-min/bin/python -m pip install --quiet --disable-pip-version-check -e ".[all,dev]" -c .venv-min/minimum.txt
	@touch $@

clean:           ## remove environments, caches and results
	rm -rf .venv .venv-min .venv-newton build dist out *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
