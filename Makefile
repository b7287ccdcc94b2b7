# Every target sets up what it needs: a fresh machine needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(RUN)/python -m pip install --quiet --disable-pip-version-check --no-compile
REQUIREMENTS := $(RUN)/python tools/requirements.py
PYTHONS ?= 3.11 3.12 3.13 3.14

.DEFAULT_GOAL := help
.PHONY: help install demo test fuzz test-oldest test-newest test-opencv5 dist test-wheel kills check format docs lock licences build/opencv5

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with seyolo and its development tools

demo: $(STAMP) ## the main job, small, on drawn hands: about five minutes in all
	$(RUN)/seyolo demo

# Tests start many processes: without bytecode each would compile all of PyTorch. A file's tests share fixtures,
# so they stay in one worker; tests/conftest.py orders the files, the longest first.
test: $(STAMP) ## run all tests, in as many workers as there are cores
	PYTHONDONTWRITEBYTECODE= $(RUN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

fuzz: $(STAMP) ## every reader on 100,000 damaged files, 20,000 where they are binary: one to two hours
	PYTHONPATH=tests $(RUN)/python -m fuzz

test-oldest: $(STAMP) build/opencv5 ## the lowest versions that pyproject.toml allows, in .venv-oldest-3.11
	VENV=$(VENV) tools/test_versions.sh oldest 3.11

test-newest: $(STAMP) build/opencv5 ## the newest versions on every Python here, or on PYTHONS="3.12 3.13"
	for python in $(PYTHONS); do VENV=$(VENV) tools/test_versions.sh newest $$python || exit; done

test-opencv5: $(STAMP) build/opencv5 ## OpenCV 5 by itself: CBAM, int8, suppression inside; in .venv-opencv5
	$(PYTHON) -m venv --clear .venv-opencv5
	$(REQUIREMENTS) given base build-system >build/opencv5.txt
	$(REQUIREMENTS) given pytest >>build/opencv5.txt
	.venv-opencv5/bin/python -m pip install -qq --disable-pip-version-check --no-compile -r build/opencv5.txt
	.venv-opencv5/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	.venv-opencv5/bin/python -m pytest -q --noconftest -p no:cacheprovider tests/opencv5

# The sdist is made first and the wheel from it: what the sdist lacks, the wheel lacks.
dist: $(STAMP) ## sdist and wheel in build/dist, checked as PyPI checks them
	mkdir -p build
	rm -rf build/dist
	$(RUN)/python -m build --no-isolation --outdir build/dist >build/dist.log
	$(RUN)/python -m twine check --strict build/dist/*

test-wheel: dist ## the built wheel, in an environment outside of the checkout
	$(REQUIREMENTS) locked >build/pins.txt
	SEYOLO_WHEEL=1 $(RUN)/python -m pytest -q --noconftest tests/wheel

kills: $(STAMP) ## kill 300 runs at any moment and resume them; about half an hour, goes on where it stopped
	PYTHONPATH=src:tests $(RUN)/python -m kills

docs: $(STAMP) ## the pages and references as a site in build/docs; a warning or a broken link is an error
	$(RUN)/python -m sphinx -q -W --keep-going -b html docs build/docs
	@echo build/docs/index.html

check: $(STAMP) ## format, lint, types and the figures of the source, changing nothing
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/python tools/house.py

format: $(STAMP) ## format and mend what the linter can
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

lock: $(STAMP) ## write requirements.lock for what pyproject.toml asks; UPGRADE=1 takes newer versions, too
	mkdir -p build
	$(REQUIREMENTS) given base dev build-system >build/lock.in
	CUSTOM_COMPILE_COMMAND="make lock" $(RUN)/pip-compile --quiet $(if $(UPGRADE),--upgrade) --generate-hashes \
		--allow-unsafe --strip-extras --no-emit-find-links --no-emit-index-url \
		--constraint constraints.txt --output-file requirements.lock build/lock.in

licences: $(STAMP) ## write the page of licences for the packages of requirements.lock
	$(RUN)/python tools/licences.py

# Models that the tests of other versions read; those run without PyTorch.
build/opencv5: $(STAMP)
	PYTHONPATH=tests $(RUN)/python tests/opencv5/write_models.py $@

# What a browser needs to run a model; tests/web/test_browser_page.py uses it where it is.
build/node_modules:
	npm install --prefix build --ignore-scripts --no-audit --no-fund --no-save --silent onnxruntime-web@1.30.0

# Bytecode of the big wheels is compiled when first used: doing it here would cost half a minute for code
# that never runs.
$(STAMP): pyproject.toml requirements.lock requirements-track.lock
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --require-hashes --no-deps -r requirements-track.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@
