# Every target sets up what it needs: a fresh clone needs Python 3.11 with headers, a C compiler and make.

PYTHON ?= python3
BIN := .venv/bin
# The official client's earlier major version, kept out of the environment's own packages: tests run it too.
OLD_CLIENT := .venv/clients/turbopuffer-2.8
# The official client for TypeScript, tested where there is Node.js.
NODE_CLIENT := .venv/clients/turbopuffer-ts
SECONDS ?= 60
SEED ?=

.DEFAULT_GOAL := help
.PHONY: help build run test check fix bench guard fuzz sanitize debug clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamp file is newer than all that the environment and the compiled module are made of.
.venv/installed: pyproject.toml constraints.txt setup.py $(wildcard ext/*.h ext/*.pyx ext/*.pxd)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev -e '.[simulator,load]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target $(OLD_CLIENT) 'turbopuffer==2.8.*'
	@if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix $(NODE_CLIENT) @turbopuffer/turbopuffer@2.8.0; fi
	@touch $@

build: .venv/installed ## Create .venv, install, compile

run: build ## Start a local simulator and a gateway in front of it; Ctrl-C stops both
	@$(BIN)/hevfast dev

test: build ## Run the whole test suite, as CI does
	$(BIN)/python -m pytest tests/integration bench
	$(BIN)/python -m pytest tests --ignore tests/integration --numprocesses 2 --dist loadfile

check: build ## Lint, types, stubs, headers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/stubtest hevfast.batch._scan hevfast.upstream._http
	PATH=$(BIN):$$PATH cython-lint ext/
	$(CC) -std=c11 -Wall -Wextra -Wconversion -Wshadow -Wno-unused-function -Werror -fsyntax-only -x c ext/scan_all.h

fix: build ## Format, and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: build ## Run the micro benches
	$(BIN)/python -m pytest bench/micro --benchmark-enable --benchmark-only --benchmark-columns=min,median,max,rounds

guard: build ## Fail if scanner or splicer need over 1 % more instructions than recorded
	$(BIN)/python -m bench.guard

fuzz: build ## Fuzz the scanner under sanitizers (SECONDS=60 SEED=n)
	$(BIN)/python -m tests.fuzz scan --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

sanitize: ## Run the property tests on a sanitized build
	$(MAKE) clean-build && HEVFAST_SANITIZE=1 $(MAKE) build
	LD_PRELOAD=$$($(CC) -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
	  $(BIN)/python -m pytest tests/property tests/unit/batch; status=$$?; $(MAKE) clean-build; exit $$status

debug: ## Compile with bounds checks, symbols and an annotated listing
	$(MAKE) clean-build && HEVFAST_DEBUG=1 $(MAKE) build

.PHONY: clean-build
clean-build:
	rm -rf build ext/*.c ext/*.html hevfast/*/*.so .venv/installed

clean: clean-build ## Remove all that was made
	rm -rf .venv .hevfast dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
