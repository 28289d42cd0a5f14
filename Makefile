# make demo   set up the environment, run the whole pipeline on the embedded demo set
# make status how far a run is, while it is on: make status TARGET=results/fusion_ucf101.json
# make report  show the demo's results in Snakemake's report: report.html
# make test   set up the environment, run the tests
# make check  what to run before a commit: style, types, the fast tests
# make gpu    tests and benchmarks of all that runs on a GPU, in one table: results/gpu.md
# make lint   layout and style: ruff, snakefmt, snakemake --lint
# make docs   the documentation site: site/index.html
# make opencv-cuda   build an OpenCV with CUDA and install it (docs/opencv-cuda.md)
# make clean  remove the demo's results

PYTHON ?= python3
CORES ?= $(shell $(PYTHON) -c "import os; print(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count())")
VENV := .venv
BIN := $(VENV)/bin
# Programs are run as modules: what pip puts into bin/ does not start from every folder's name.
RUN := $(BIN)/python -m
FOLDER ?= .opencv-cuda

.PHONY: demo report status test check gpu lint types docs opencv-cuda clean environment
.DELETE_ON_ERROR:

# Snakemake does not start without a cache; where the home folder is read-only, a temporary one does.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
ifneq ($(shell mkdir -p "$(CACHE)" 2>&1 && test -w "$(CACHE)" || echo read-only),)
export XDG_CACHE_HOME := $(shell mktemp -d)
$(warning $(CACHE) cannot be written: using $(XDG_CACHE_HOME) instead of it)
endif

demo: environment
	$(RUN) snakemake --quiet rules --cores $(CORES) results/fusion_demo.json $(OPTIONS)
	@echo
	@cat results/fusion_demo.md
	@echo "With figures: results/fusion_demo.html"

# TARGET=results/fusion_ucf101.json for another data set
TARGET ?= results/fusion_demo.json
report: environment
	$(RUN) snakemake --report report.html $(TARGET) $(OPTIONS)

# OPTIONS="--configfile my.yaml", say, for Snakemake
status: environment
	@$(RUN) tsn.status $(TARGET) --cores $(CORES) $(OPTIONS)

# tests/conftest.py says what stays in one process.
PYTEST = $(RUN) pytest -n auto --maxprocesses 4

test: environment
	$(PYTEST)

check: lint types
	$(PYTEST) -m "not slow"

types: environment
	$(RUN) mypy

docs: environment
	$(RUN) pip install --quiet --no-compile --constraint requirements.lock --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet

gpu: environment
	$(RUN) benchmarks.gpu $(if $(VIDEOS),--videos "$(VIDEOS)")

lint: environment
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) snakemake --lint

opencv-cuda: environment
	$(BIN)/python tools/opencv_cuda.py --folder "$(FOLDER)" --python $(BIN)/python \
		$(if $(ARCH),--arch "$(ARCH)") $(if $(JOBS),--jobs $(JOBS))

clean:
	rm -rf results/demo results/fusion_demo.* report.html site

environment: $(VENV)/installed

# Nothing is compiled at install time: Python does that for the modules that are really used, once.
# Forbidden to keep what it compiled, as in some containers, it would do so in every job, for seconds.
unexport PYTHONDONTWRITEBYTECODE
$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else 'Python 3.11, 3.12 or 3.13 is needed, this is ' + sys.version.split()[0] + '; set PYTHON=python3.12, say')"
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --no-compile --requirement requirements.lock
	$(RUN) pip install --quiet --no-compile --no-deps --editable .
	@touch $@
