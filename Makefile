# Two commands matter to a newcomer: `make demo` and `make test`. Everything they need is installed from here.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ROOMS  := sniffer codecs storage retention custody
PKG    := bystander $(ROOMS)
STAMP  := $(VENV)/.installed
DEVSTAMP := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench crash announcements corpus fuzz lab clean debian-packages typing

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

$(BIN)/python:
	@PYTHON="$(PYTHON)" sh deploy/make-venv "$(VENV)"

$(STAMP): setup.cfg pyproject.toml | $(BIN)/python
	@echo "installing Bystander into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(DEVSTAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## extract the calls of the captures in this repository and show them
	@$(BIN)/bystander extract tests/data/*.pcap* -o demo-calls --show --office-number '/^(alice|carol)$$/'

debian-packages:
	@sh deploy/install-test-packages

test: $(DEVSTAMP) debian-packages  ## install what the tests need and run them
	@$(BIN)/python -m pytest

typing:
	@mkdir -p build/typing/bystander
	@for room in $(ROOMS); do ln -sfn ../../../$$room build/typing/bystander/$$room; done
	@for file in bystander/*.py bystander/py.typed; do ln -sfn ../../../$$file build/typing/bystander/$$(basename $$file); done
	@find build/typing/bystander -xtype l -delete

lint: $(DEVSTAMP) typing  ## ruff, mypy --strict, the direction of imports, and that all is said in Polish, too
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@MYPYPATH=build/typing $(BIN)/mypy -p bystander
	@$(BIN)/python tests/check_imports.py
	@$(BIN)/python -m tests.spoken

lab: $(DEVSTAMP) debian-packages  ## record the captures in tests/data anew, with real phones (root)
	@$(BIN)/python tests/lab/record.py
	@$(BIN)/python -m tests.lab_table

announcements: $(DEVSTAMP) debian-packages  ## the check of the office's announcement on 240 real calls (root)
	@$(BIN)/python -m tests.announcements $(ANNOUNCEMENTS)

corpus: $(DEVSTAMP)  ## write docs/corpus.md anew from the public captures beside the project, where they are
	@$(BIN)/python -m tests.corpus_table

fuzz: $(DEVSTAMP)  ## damaged traffic through everything that reads the wire: blindly, then guided by coverage
	@$(BIN)/python -m fuzz $(FUZZ)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]' || true
	@$(BIN)/python -m fuzz.guided $(GUIDED)

crash: $(DEVSTAMP)  ## kill the recorder, sweeps and erasures at 200 random moments and look at the vault
	@$(BIN)/python -m tests.crash $(CRASH)

bench: $(DEVSTAMP)  ## what it costs: packets per second and CPU ns per packet, stage by stage
	@$(BIN)/python -m benchmarks $(BENCH)

clean:  ## remove what was built here
	rm -rf $(VENV) build demo-calls *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
