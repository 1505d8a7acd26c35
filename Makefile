# make demo: train, evaluate and draw on a small procedural data set.   make test: the test suite.
# Both set up .venv first (Python >= 3.10 with venv, a C++ compiler). Interrupt and repeat them as you like.
PYTHON ?= python3
PY := .venv/bin/python
DATA ?= data/shapes
export PYTHONUNBUFFERED := 1

.PHONY: setup demo test

setup:
	@bash tools/setup_env.sh $(PYTHON)

test: setup
	$(PY) -m pytest

demo: setup
	$(PY) tools/make_shapes.py $(DATA)
	$(PY) tools/train.py configs/maskrcnn_cswin_demo_shapes.py --data-root $(DATA)
	$(PY) tools/train.py configs/upernet_cswin_demo_shapes.py --data-root $(DATA)
