# make demo, test, test-all, lint, bench, verify, apk, clean. Needs Python 3.11 or 3.12; makes .venv by itself.

SUITABLE := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
# The first that is there and runs: a version manager's shim may be there and not run. Or say make PYTHON=/path/to/python.
PYTHON ?= $(shell for p in python3.12 python3.11 python3 python; do $$p -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
# Two processes of 1.5 GB each. The tests of a file share what they made.
TESTS := --quiet --durations=5 --numprocesses=2 --dist=loadfile
# No package that kgan needs has to be compiled, so pip may not try: a missing compiler never matters.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary=:all: --editable
NEEDED_GB := 5
TOO_FULL := About $(NEEDED_GB) GB of disk space are needed here, and less is free.
NO_PYTHON := Python 3.11 or 3.12 is needed, and none was found: install one, or name it: make PYTHON=/path/to/python3.12.
NO_VENV := This Python lacks the modules venv and ensurepip; on Debian and Ubuntu: apt install python3-venv.
NO_PACKAGES := pip could not install the packages, for the reason above. Is the network there, and room on the disk? \
"No matching distribution" means that one is not made for this Python and machine; kgan compiles none.
fail = { echo 'kgan: $(1)' >&2; exit 1; }

.PHONY: demo test test-all lint bench verify apk clean

demo: .venv/installed
	@$(BIN)/python -m kgan.commands.demo --output=demo

test: lint
	@$(BIN)/python -m pytest $(TESTS)

test-all: lint
	@$(BIN)/python -m pytest $(TESTS) -m 'slow or not slow'

# mypy sees export/ and configs/ as they are installed, kgan.export and kgan.configs, through a folder of links.
lint: .venv/installed-dev
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check . && echo 'ruff: no issues found'
	@rm -rf build/types && mkdir -p build/types/kgan
	@ln -s '$(CURDIR)'/kgan/* '$(CURDIR)/export' '$(CURDIR)/configs' build/types/kgan/
	@ln -s '$(CURDIR)/benchmarks' build/types/
	@cd build/types && '$(CURDIR)/$(BIN)/mypy' --config-file='$(CURDIR)/pyproject.toml' \
		--cache-dir='$(CURDIR)/.mypy_cache' -p kgan -p benchmarks

bench: .venv/installed
	@$(BIN)/python -m benchmarks

# Fetches other runtimes into a folder of their own, then runs the filters that come with kgan in each.
verify: .venv/installed
	@$(BIN)/python -m kgan.export.runtimes.install
	@$(BIN)/python -m kgan verify --json=build/verify.json --plot=build/verify.png

# make apk FILTER=runs/anime/exported/generator_ab_dynamic_wi8_afp32.tflite APP_ID=com.example.anime; see docs/phone.md
apk: .venv/installed
	@$(BIN)/python android_demo/make_apk.py --app_id='$(APP_ID)' $(FILTER)

clean:
	rm -rf android_demo/build .venv build dist demo kgan.egg-info .mypy_cache .ruff_cache .pytest_cache
	find kgan export configs tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# Stamps, written when everything is installed: a second run installs nothing.
.venv/installed: setup.py pyproject.toml | .venv/made
	@echo 'Installing kgan and its packages into .venv: 2.5 GB ...'
	@$(INSTALL) . || $(call fail,$(NO_PACKAGES))
	@touch $@

.venv/installed-dev: setup.py pyproject.toml | .venv/made
	@echo 'Installing kgan and what its tests need into .venv: 3 GB ...'
	@$(INSTALL) '.[dev,jax]' || $(call fail,$(NO_PACKAGES))
	@touch .venv/installed $@

.venv/made:
	@test -n '$(PYTHON)' && $(PYTHON) -c '$(SUITABLE)' 2>/dev/null || $(call fail,$(NO_PYTHON))
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(call fail,$(NO_VENV))
	@df -Pk . | awk 'NR == 2 { exit ($$4 < $(NEEDED_GB) * 1048576) }' || $(call fail,$(TOO_FULL))
	@$(PYTHON) -m venv .venv || $(call fail,The folder .venv could not be made for the reason above.)
	@touch $@
