# make demo    train, run on Lava, write a report (installs into .venv first)
# make test    the test suite; make test-slow: what takes longer and is looked at less often
# make test-py312  the same on Python 3.12 without Lava, and the GPU kernels, which Triton interprets on the CPU
# make lint    ruff and mypy
# make docs    the site, in site/: built strictly, every link checked
# make figures derives every committed figure again, resumably: hours; make figures-check: a part, minutes
# make wheel   dist/*.whl, installed and imported in a bare venv, without dependencies

IS_310 := import sys; sys.version_info[:2] == (3, 10) and print(sys.executable)
PYTHON := $(shell for name in python3.10 python3 python; do $$name -c '$(IS_310)' 2>/dev/null; done | head -n 1)
PYTHON312 = $(shell for name in python3.12 python3 "$$(pyenv prefix 3.12 2>/dev/null)/bin/python"; do $$name -c '$(subst 10,12,$(IS_310))' 2>/dev/null; done | head -n 1)
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-slow test-py312 lint docs figures figures-check wheel install clean

demo: install
	$(BIN)/settle demo

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-slow: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m slow

test-py312: .venv-312/installed
	TRITON_INTERPRET=1 .venv-312/bin/python -m pytest -n auto --maxprocesses 4 tests/sim/backends/batched/test_fused.py
	.venv-312/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "not lava and not slow"

# The interpreter of Triton 3.6 counts by arrays of one number, which numpy 2.4 takes for a number no longer.
.venv-312/installed: pyproject.toml
ifneq ($(UV),)
	rm -rf .venv-312
	$(UV) venv --quiet --seed --python 3.12 .venv-312
else
	@test -n "$(PYTHON312)" || { echo "Python 3.12 was not found; install it, or uv, which brings it along" >&2; exit 1; }
	$(PYTHON312) -m venv --clear .venv-312
endif
	@echo "installing about 6 GB into .venv-312, once; this takes some minutes"
	.venv-312/bin/pip install --quiet --editable '.[dev]' 'triton>=3.6' 'numpy<2.4'
	@touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: install .venv-docs/installed
	$(BIN)/python docs/commands.py
	.venv-docs/bin/mkdocs build --quiet
	$(BIN)/python docs/check_site.py site

# What builds the site, and nothing of settle: its API is read from the source.
.venv-docs/installed: pyproject.toml
	$(BIN)/python -m venv --clear .venv-docs
	.venv-docs/bin/pip install --quiet $$($(BIN)/python docs/requirements.py)
	@touch $@

figures: install
	$(BIN)/python -m benchmarks.figures

figures-check: install
	$(BIN)/python -m benchmarks.figures --check

# Without its dependencies: `import settle` needs none of them; the command needs typer, and is not started.
wheel: install
	rm -rf dist build .venv-wheel
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/python -m venv .venv-wheel
	.venv-wheel/bin/pip install --quiet --no-deps dist/settle-*.whl
	cd .venv-wheel && bin/python -c "import settle; print(settle.__file__)"

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
ifneq ($(UV),)
	rm -rf .venv
	$(UV) venv --quiet --seed --python 3.10 .venv
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
else ifneq ($(PYTHON),)
	$(PYTHON) -m venv --clear .venv
	@echo "installing about 6 GB into .venv, once; this takes some minutes"
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
else
	@echo "Python 3.10 was not found, and Lava needs it. Install it (for example: pyenv install 3.10), or install uv, which" >&2
	@echo "brings it along; then run make again. Without Lava any Python from 3.10 to 3.13 will do: pip install -e ." >&2
	@exit 1
endif
	@touch $@

clean:
	rm -rf .venv .venv-312 .venv-wheel .venv-docs build dist site *.egg-info
