# make demo: train, evaluate and draw on a small procedural data set.   make test: the test suite.
# make test-long: what the suite leaves out because it takes minutes, such as all families compiled with Inductor.
# make speed: docs/speed.md measured anew, on a machine that does nothing else.
# make pretraining: a classifier on the same data set, and what its weights are worth to the demo's detector.
# All set up .venv first (Python >= 3.10 with venv, a C++ compiler). Interrupt and repeat them as you like.
# make test-gpu: the checks that need a GPU, and its speed and memory; in .venv, or else with PYTHON, which then needs no
# more than PyTorch, mmengine and pytest.
PYTHON ?= python3
PY := .venv/bin/python
DATA ?= data/shapes
DEMO := maskrcnn_cswin_demo_shapes upernet_cswin_demo_shapes
DEVICE ?= cpu
# A hundred of the demo's thousand scenes, in 780 steps.
FEW := train_dataloader.dataset.indices=100 train_cfg.max_epochs=60 train_cfg.val_interval=20 param_scheduler.1.end=60
# A process for each CPU, up to four: each needs some 4 GB of memory. Make it empty for one process.
PARALLEL ?= -n logical --maxprocesses 4 --dist loadfile
export PYTHONUNBUFFERED := 1
# Threads that wait for others sleep: on a machine that has more to do, they would keep those from running.
export OMP_WAIT_POLICY ?= passive

.PHONY: setup test test-long test-gpu speed demo pretraining

setup:
	@bash tools/setup_env.sh $(PYTHON)

test: setup
	$(PY) -m pytest $(PARALLEL)

test-long: setup
	$(PY) -m pytest $(PARALLEL) -m long

test-gpu: PY := $(or $(wildcard .venv/bin/python),$(PYTHON))
test-gpu:
	@# Figures are taken after failed tests too, but not without a GPU.
	$(PY) -m pytest -m gpu -s; status=$$?; \
	    [ $$status -gt 1 ] || PY=$(PY) bash tools/record_speed.sh cuda work_dirs/speed; exit $$status

speed: setup
	PY=$(PY) bash tools/record_speed.sh $(DEVICE)
	$(PY) tools/compare.py --update-docs

demo: setup
	$(PY) tools/make_shapes.py $(DATA)
	@set -e; for name in $(DEMO); do \
	    echo "== training configs/$$name.py"; \
	    $(PY) tools/train.py configs/$$name.py --data-root $(DATA) --work-dir work_dirs/$$name --overwrite; \
	    $(PY) tools/predict.py configs/$$name.py "$$(cat work_dirs/$$name/last_checkpoint)" $(DATA)/val2017/00000?.jpg \
	        --out work_dirs/$$name/pictures; \
	done
	@for name in $(DEMO); do \
	    log=$$(ls -t work_dirs/$$name/*/*.log | head -n 1); \
	    printf '\n== %s\n' $$name; \
	    grep -oE '(coco/(bbox|segm)_mAP|mIoU): [0-9.]+' "$$log" | tail -n 2; \
	    printf 'log         %s\ncheckpoint  %s\npictures    %s\n' "$$log" "$$(cat work_dirs/$$name/last_checkpoint)" \
	        work_dirs/$$name/pictures; \
	done

pretraining: setup
	$(PY) tools/make_shapes.py $(DATA)
	@set -e; run() { \
	    name=$$1 work_dir=work_dirs/$$2; shift 2; echo "== training configs/$$name.py in $$work_dir"; \
	    $(PY) tools/train.py configs/$$name.py --data-root $(DATA) --work-dir $$work_dir --overwrite \
	        --cfg-options randomness.seed=0 "$$@"; \
	}; \
	weights=model.backbone.init_cfg; \
	run classifier_cswin_demo_shapes classifier_cswin_demo_shapes; \
	run maskrcnn_cswin_demo_shapes few_random $(FEW); \
	run maskrcnn_cswin_demo_shapes few_pretrained $(FEW) $$weights.type=Pretrained \
	    $$weights.checkpoint="$$(cat work_dirs/classifier_cswin_demo_shapes/last_checkpoint)"
	@for name in classifier_cswin_demo_shapes few_random few_pretrained; do \
	    printf '== %s: ' $$name; \
	    grep -hoE '(accuracy/top1|coco/(bbox|segm)_mAP): [0-9.]+' "$$(ls -t work_dirs/$$name/*/*.log | head -n 1)" | tail -n 2 | paste -sd ' '; \
	done
