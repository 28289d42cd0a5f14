# make demo   set up the environment, run the whole pipeline on the embedded demo set
# make status how far a run is, while it is on: make status TARGET=results/fusion_ucf101.json
# make test   set up the environment, run the tests
# make report  show the demo's results in Snakemake's report: report.html
# make lint   layout and style: ruff, snakefmt, snakemake --lint
# make opencv-cuda   build an OpenCV with CUDA and install it (docs/opencv-cuda.md)
# make clean  remove the demo's results

PYTHON ?= python3
CORES ?= $(shell $(PYTHON) -c "import os; print(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count())")
VENV := .venv
BIN := $(VENV)/bin
FOLDER ?= .opencv-cuda

.PHONY: demo report status test lint opencv-cuda clean environment
.DELETE_ON_ERROR:

demo: environment
	$(BIN)/snakemake --quiet rules --cores $(CORES) results/fusion_demo.json
	@echo
	@cat results/fusion_demo.md
	@echo "With pictures: results/fusion_demo.html"

# TARGET=results/fusion_ucf101.json for another data set
TARGET ?= results/fusion_demo.json
report: environment
	$(BIN)/snakemake --report report.html $(TARGET)

# OPTIONS="--configfile my.yaml", say, for Snakemake
status: environment
	@$(BIN)/python -m tsn.status $(TARGET) --cores $(CORES) $(OPTIONS)

test: environment
	$(BIN)/pytest

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

opencv-cuda: environment
	$(BIN)/python tools/opencv_cuda.py --folder "$(FOLDER)" --python $(BIN)/python \
		$(if $(ARCH),--arch "$(ARCH)") $(if $(JOBS),--jobs $(JOBS))

clean:
	rm -rf results/demo results/fusion_demo.* report.html

environment: $(VENV)/installed

# Nothing is compiled at install time: Python does that for the modules that are really used.
$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else 'Python 3.11, 3.12 or 3.13 is needed, this is ' + sys.version.split()[0] + '; set PYTHON=python3.12, say')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-compile --no-deps --editable .
	@touch $@
