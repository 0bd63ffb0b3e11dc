# Everything that can be done here, from nothing: `make help` lists it.
#
# Each step prints one line: what it does, and how long it took. Its output is in build/log/, and
# on the screen when it fails (or always, with V=1). What a step needs and this machine lacks is
# installed, or named in one sentence: tests/scripts/need.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

STEP := @tests/scripts/step
NEED := @tests/scripts/need
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
PACKAGE := build/package/ringway-$(VERSION).tgz
WASM := build/wasm/lb_bg.wasm
WASM_SOURCES := Cargo.toml Cargo.lock tests/scripts/wasm-cargo \
	$(shell find src -name '*.rs' -not -path 'src/native/*' -not -name main.rs -not -name tests.rs)
TEMPLATE := $(wildcard pkg-template/*) LICENSE
# The first kilobyte is the last of the stack, where no data are; and what the compiler has not
# inlined is smaller as it is.
WASM_OPT := -O3 --low-memory-unused --one-caller-inline-max-function-size=0
# Of the package the page loads one door: what its index.js imports.
PAGE_FILES := index.js core.js fault.js wasm-inline.js

# The most user instructions that a small request may take: what it takes, and 2 % more.
INSTRUCTIONS := 19900

# Steps build once and are then left alone; what incremental builds keep would only cost time.
export CARGO_INCREMENTAL ?= 0

##@ To use it

run: build/page  ## Build all that is needed, then run the demo: proxy on 8080, page on 9090
	$(NEED) rust
	$(NEED) cc
	$(STEP) binary "building the release binary, with the page in it" cargo build --release --bin ringway
	target/release/ringway demo

package: $(PACKAGE)  ## Build the npm package: build/package/ringway-VERSION.tgz
	@echo "The package: $(PACKAGE)"

page: www/pkg/index.js  ## Build what the page needs; www/ is then a site that any static server can serve
	@echo "The page: www/"

site: www/pkg/index.js  ## Put the page in a folder for any static server, and in one file: build/site
	$(NEED) node-modules
	$(STEP) site "putting the page together" node deploy/site/build.mjs build/site
	@echo "The site: build/site/, and all of it in one file: build/site/standalone.html"

##@ To test it

test: start fmt lint test-native test-oracle package test-wasm test-package test-runtimes test-page docs  ## Run all checks, in the order in which a failing one should be seen
	@tests/scripts/summary

start:
	@rm -rf build/log

fmt:  ## Check that the Rust sources are formatted
	$(NEED) rust
	$(STEP) fmt "the Rust sources are formatted" cargo fmt --check

lint:  ## Check with clippy, warnings denied, on both targets
	$(NEED) cc
	$(NEED) wasm-toolchain
	$(STEP) lint "clippy has no warning" cargo clippy --all-targets --quiet -- -D warnings
	$(STEP) lint-wasm "clippy has no warning about what is built for wasm32" \
		tests/scripts/wasm-cargo clippy --lib --test wasm --quiet -- -D warnings

test-native:  ## Test the engine, the wire, the proxy and the binary natively
	$(NEED) cc
	$(NEED) clients
	$(STEP) native-build "building the native tests" cargo test --no-run
	$(STEP) --show native "the native tests" cargo test --quiet --no-fail-fast

test-oracle:  ## Check golden routes and metrics by implementations that share no code with ours
	$(NEED) python
	$(NEED) cc
	$(STEP) oracle-binary "building the binary whose metrics are read" cargo build --bin ringway
	$(STEP) --show oracle "golden routes and metrics, by independent implementations" tests/oracle/run

test-wasm:  ## Test the engine on wasm32, in Node
	$(NEED) node
	$(NEED) wasm-bindgen
	$(STEP) wasm-build "building the tests for wasm32" tests/scripts/wasm-cargo test --test wasm --no-run
	$(STEP) --show wasm "the engine on wasm32" tests/scripts/wasm-cargo test --test wasm

test-package: $(PACKAGE)  ## Test the packed npm package, installed in a fresh folder, and its size
	$(NEED) node-modules
	$(NEED) cc
	$(STEP) binary-debug "building the binary that the package must agree with" cargo build --bin ringway
	$(STEP) --show package "the npm package" node --test --test-reporter=spec tests/js/*.test.mjs

test-runtimes: $(PACKAGE)  ## Test the packed npm package in Node, Deno, Bun, workerd, edge-runtime, Chromium and by bundlers
	$(NEED) node-modules
	$(NEED) chromium
	$(STEP) --show runtimes "the npm package in every runtime" \
		node --test --test-reporter=spec tests/js/runtimes/runtimes.test.mjs

test-page: www/pkg/index.js  ## Test the page in Chromium
	$(NEED) node-modules
	$(NEED) chromium
	$(STEP) page-binary "building the binary with the page in it" cargo build --bin ringway
	$(STEP) --show page "the page in Chromium" node --test --test-reporter=spec tests/page/*.test.mjs

docs:  ## Check the documentation's links
	$(NEED) node
	$(STEP) docs "no link in the Rust documentation is broken" \
		env RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --quiet
	$(STEP) links "no link in the Markdown files is broken" node tests/scripts/links.mjs

test-long: www/pkg/index.js  ## Play many more histories, fuzz for ten minutes each what reads input, ask other products
	$(NEED) cc
	$(STEP) --show simulation "the simulation with 16384 seeds" \
		env RINGWAY_SEEDS=16384 cargo test --release --quiet --test it simulation
	$(STEP) --show chaos "load for a minute while servers break and the configuration changes" \
		env RINGWAY_CHAOS_SECONDS=60 cargo test --release --quiet --test it chaos
	$(STEP) --show fuzz "configurations, requests and the API, fuzzed" \
		env RINGWAY_FUZZ_SECONDS=600 cargo test --release --quiet --test it fuzz
	$(STEP) --show codec "ten million answers and two million requests, by our codec and by hyper's client" \
		env RINGWAY_CODEC_CASES=10000000 cargo test --release --quiet --lib codec::differential
	$(NEED) callgrind
	$(STEP) ringway-release "building the binary whose instructions are counted" cargo build --release --bin ringway
	$(STEP) --show callgrind "a small request costs no more instructions than it did" \
		bench/proxy/run.py --callgrind --only ringway --at-most $(INSTRUCTIONS)
	$(NEED) node-modules
	$(NEED) chromium
	$(STEP) --show soak "two hours of a live stream in the page" \
		env RINGWAY_SOAK=7200 node --test --test-reporter=spec --test-name-pattern='long stream' tests/page/live.test.mjs

	$(NEED) python
	$(NEED) products
	$(STEP) ringway-debug "building the binary that other products are compared with" cargo build --bin ringway
	$(NEED) clients
	$(STEP) --show beside "real clients through Ringway, between nginx and HAProxy" tests/beside/run target/debug/ringway
	$(STEP) --show products "nginx, HAProxy, Envoy, twemproxy and libmemcached on fleets nobody has seen" \
		tests/oracle/products/run fresh target/debug/ringway $(or $(RINGWAY_SEED),$(shell date +%s))

bench: bench-js  ## Measure: ring, routing, and the package in JavaScript
	$(NEED) cc
	cargo bench

bench-js: $(PACKAGE)  ## Measure the package in JavaScript, beside other packages
	$(NEED) node-modules
	@node bench/js/run.mjs

evaluation:  ## Write docs/evaluation.md and its pictures again: how even, stable and costly each algorithm is
	$(NEED) cc
	cargo bench --bench ring -- evaluation

##@ Else

clean:  ## Remove everything that was built, but not what was installed
	cargo clean
	rm -rf target-wasm build/wasm build/package build/log build/site www/pkg

help:  ## Say what there is
	@awk 'BEGIN { FS = ":.*  ## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*  ## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Cargo does not see that a file was added to the folder which the binary embeds.
build/page: www/pkg/index.js $(shell find www -type f -not -path 'www/pkg/*')
	@touch src/native/admin/assets.rs $@

.PHONY: run package page site test start fmt lint test-native test-oracle test-wasm test-package test-runtimes test-page docs test-long bench bench-js evaluation clean help

# The engine for JavaScript: compiled, given its glue, optimised.
$(WASM): $(WASM_SOURCES)
	$(NEED) rust
	$(NEED) wasm-toolchain
	$(NEED) wasm-bindgen
	$(NEED) node-modules
	$(STEP) wasm-library "building the engine for wasm32" \
		tests/scripts/wasm-cargo rustc --profile wasm --lib --crate-type cdylib
	$(STEP) wasm-glue "writing its JavaScript side" \
		build/tools/bin/wasm-bindgen target-wasm/wasm32-unknown-unknown/wasm/ringway.wasm \
		--target bundler --no-typescript --remove-name-section --remove-producers-section \
		--out-dir build/wasm --out-name lb
	$(STEP) wasm-opt "optimising it" tests/node_modules/.bin/wasm-opt $(WASM_OPT) $@ -o $@

$(PACKAGE): $(WASM) $(TEMPLATE)
	$(STEP) pack "packing the npm package" node pkg-template/build.mjs build/wasm build/package

www/pkg/index.js: $(PACKAGE)
	@rm -rf www/pkg && mkdir -p www/pkg
	@cp $(addprefix build/package/ringway/dist/,$(PAGE_FILES)) www/pkg/
