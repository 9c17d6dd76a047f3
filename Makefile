# The front door of Trivet: `make help` lists what can be asked of it.
#
# Strategy: everything that Python needs is in `.venv` beside this file. Three files say how far it is, and each is made
# again only when what it stands on has changed:
#
#   .venv/made-by     the virtual environment       <- where this clone lies
#   .venv/installed   Python's packages             <- pyproject.toml
#   $(ENGINE)         the native module, optimised  <- the Rust sources
#
# The Python sources are used in place, so a change there costs nothing. Whatever is missing on this machine is said in
# two lines, the second with the next step, and make ends with 2.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.ONESHELL:
.PHONY: bench check clean demo docs help test wheel
.SHELLFLAGS := -eu -c
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

BENCH_ARGS ?=
DEMO_BIND ?= 127.0.0.1:18008
PYTEST_ARGS ?=
PYTHON ?=

BIN := .venv/bin
ENGINE := python/trivet/_trivet.abi3.so
OLDEST_PYTHON := $(shell sed -n 's/^requires-python = ">=\(.*\)"$$/\1/p' pyproject.toml)
OLDEST_RUST := $(shell sed -n 's/^rust-version = "\(.*\)"$$/\1/p' Cargo.toml)
# Newest first; a newer one than these has not been tried, and is used when it is all there is.
PYTHONS := $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3.10 python3)
RUST_SOURCES := Cargo.toml Cargo.lock rust-toolchain.toml $(shell find crates -name '*.rs' -o -name Cargo.toml)

# One interpreter for every cargo call: PyO3 builds again whenever it changes.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
export VIRTUAL_ENV := $(CURDIR)/.venv
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONHOME PYTHONPATH

# ---------------------------------------------------------------------------------------------------------------------
# What can be asked for

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16
	printf '\n%s\n' 'variables: PYTHON=python3.12  DEMO_BIND=:9000  PYTEST_ARGS="-k upload"  BENCH_ARGS=--quick  CARGO_TARGET_DIR=…'

demo: $(ENGINE) ## build, then serve examples/hello on http://127.0.0.1:18008
	@exec $(BIN)/trivet serve --chdir examples/hello --bind $(DEMO_BIND)

test: $(ENGINE) ## every test: Rust, then Python
	@$(need_rust)
	status=0
	# trivet-py is an extension module, with no program to link a test into; Python's tests are its tests.
	cargo test --locked --workspace --exclude trivet-py -- --quiet || status=1
	$(BIN)/python -m pytest $(PYTEST_ARGS) || status=1
	exit $$status

check: $(ENGINE) ## formatting, lints, types, layers, generated files, the house rules
	@$(need_rust)
	cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1 || refuse \
	    'clippy or rustfmt is missing beside cargo' \
	    'run `rustup component add clippy rustfmt` (Debian: `apt-get install rust-clippy rustfmt`), then make again'
	failed=
	run() { echo "check: $$*"; "$$@" || failed="$$failed\n  $$*"; }
	run cargo fmt --all --check
	run cargo clippy --locked --workspace --all-targets -- -D warnings
	run $(BIN)/ruff format --check .
	run $(BIN)/ruff check .
	run $(BIN)/mypy
	run $(BIN)/lint-imports
	if [ -e python/trivet/config/generate.py ]; then run $(BIN)/python -m trivet.config.generate --check; fi
	run $(BIN)/python -m pytest -q tests/contract/test_house.py
	if cargo deny --version >/dev/null 2>&1; then run cargo deny --locked check; fi
	if [ -n "$$failed" ]; then printf "check: failed:$$failed\n" >&2; exit 1; fi
	echo 'check: all passed'

bench: $(ENGINE) ## measure Trivet and its peers side by side
	@$(BIN)/python -m bench setup
	exec $(BIN)/python -m bench $(BENCH_ARGS)

docs: $(ENGINE) ## the reference pages, and the crates' pages with warnings as errors
	@$(need_rust)
	if [ -e python/trivet/config/generate.py ]; then $(BIN)/python -m trivet.config.generate; fi
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items

wheel: $(ENGINE) ## a wheel for this machine, in dist/
	@$(BIN)/maturin build --release --locked --strip --out dist

clean: ## remove all that make has made in this clone
	@rm -rf .venv target build dist .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f $(ENGINE)
	find python tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------------------------------------
# What they stand on

# A virtual environment holds absolute paths: one that lies where it was not made is made anew, as is one whose Python is gone.
ifneq ($(and $(wildcard $(BIN)/python),$(shell cat .venv/made-by 2>/dev/null)),$(CURDIR))
.PHONY: .venv/made-by
endif

.venv/made-by:
	@$(refuse)
	chosen=; without_venv=
	for candidate in $(PYTHONS); do
	    "$$candidate" -c 'import sys; sys.exit(sys.version_info < tuple(map(int, "$(OLDEST_PYTHON)".split("."))))' \
	        >/dev/null 2>&1 || continue
	    if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then chosen=$$candidate; break; fi
	    without_venv=$${without_venv:-$$candidate}
	done
	[ -n "$$chosen$$without_venv" ] || refuse \
	    'no Python $(OLDEST_PYTHON) or newer found (looked for: $(PYTHONS))' \
	    'run `apt-get install python3 python3-venv`, or name one with `make PYTHON=/path/to/python3`'
	[ -n "$$chosen" ] || refuse \
	    "$$without_venv has no venv module that works: Debian and Ubuntu ship it apart" \
	    "run \`apt-get install $$("$$without_venv" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')\`, then make again"
	rm -rf .venv
	"$$chosen" -m venv .venv
	echo "venv: $$($(BIN)/python --version), .venv"
	printf '%s\n' '$(CURDIR)' >$@

.venv/installed: pyproject.toml .venv/made-by
	@$(refuse)
	echo 'packages: installing the development tools (.venv/pip.log)'
	# Dependency groups need pip 25.1; Debian's and Ubuntu's venv bring an older one.
	if ! { $(BIN)/python -m pip install --retries 1 'pip>=25.1' &&
	       $(BIN)/python -m pip install --retries 1 --group dev; } >.venv/pip.log 2>&1; then
	    ! grep -qiE 'connection|name resolution|proxyerror|timed? ?out|sslerror|from versions: none' .venv/pip.log || refuse \
	        'pip cannot reach its package index (.venv/pip.log)' \
	        'check the network, or point pip at a mirror with PIP_INDEX_URL or PIP_PROXY, then make again'
	    refuse "pip could not install what pyproject.toml names: $$(grep -m 1 -i '^error' .venv/pip.log || echo 'no reason given')" \
	        'read .venv/pip.log; another Python may help: `make PYTHON=python3.12`'
	fi
	touch $@

$(ENGINE): $(RUST_SOURCES) .venv/installed
	@$(need_rust)
	echo 'engine: building in release mode, a minute or two the first time (.venv/maturin.log)'
	# Calm as long as it goes well; what maturin and cargo have said is shown only when it does not.
	$(BIN)/maturin develop --release --locked >.venv/maturin.log 2>&1 || { cat .venv/maturin.log >&2; refuse \
	    'the engine was not built; the reason stands above' \
	    'without a network, `cargo fetch` and pip need a mirror; else please report it with the lines above'; }
	touch $@

# ---------------------------------------------------------------------------------------------------------------------
# How a missing thing is said

define refuse
refuse() { printf 'trivet: %s\nhint: %s\n' "$$1" "$$2" >&2; exit 2; }
endef

define need_rust
$(refuse)
command -v cargo >/dev/null 2>&1 && command -v rustc >/dev/null 2>&1 || refuse \
    'cargo was not found: the engine is built from Rust sources' \
    'install Rust $(OLDEST_RUST) or newer with rustup (https://rustup.rs), or `apt-get install cargo` from Debian 13 on; then make again'
rustc=$$(rustc --version 2>&1) || refuse "rustc does not run: $$(printf '%s' "$$rustc" | head -n 1)" \
    'run `rustup toolchain install stable`, then make again'
rustc=$$(printf '%s' "$$rustc" | cut -d ' ' -f 2)
[ "$$(printf '%s\n' $(OLDEST_RUST) "$$rustc" | sort -V | head -n 1)" = $(OLDEST_RUST) ] || refuse \
    "rustc $$rustc is too old: the engine needs $(OLDEST_RUST) or newer" \
    'run `rustup update stable`, or install Rust with rustup (https://rustup.rs); then make again'
command -v cc >/dev/null 2>&1 || refuse \
    'no C compiler (`cc`) was found: Rust links with it' \
    'run `apt-get install gcc libc6-dev`, then make again'
endef
