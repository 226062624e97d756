# extconn: `make demo` shows it at work, `make test` checks all of it. `make help` lists the rest.

ARCH    := $(shell uname -m)
TARGET  := $(ARCH)-unknown-linux-musl
STATIC  := target/$(TARGET)/release
LAB     := target/release/extconn-lab
BENCH   := $(STATIC)/extconn-bench
PAGE    := docs/benchmarks.md

# The container images and the gateway host get these; see docs/decisions/0002-static-binaries.md.
SHIPPED := -p extconn-operator -p extconn-forwarder -p extconn-gateway -p kubectl-extconn

.DEFAULT_GOAL := help
.PHONY: help demo archive test lint unit fuzz bench bench-short bench-program build lab prerequisites end-to-end installation control-plane operator-kills operator-scale new-pods no-trace dist krew planted-faults help-examples from-nothing transcripts generate clean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: build ## Build extconn, start the lab, install, and show that the main job works.
	$(LAB) demo

test: ## Run every check there is, with the time of each stage and the counts at the end.
	@.ci/test

lint: lab ## rustfmt, clippy, dependency direction, purity, helm lint.
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	.ci/lint
	$(LAB) tool helm lint --strict chart

unit: prerequisites ## Run the tests that need no lab.
	cargo test --locked --workspace

fuzz: prerequisites ## Fuzz for a short time what comes out of a tunnel.
	.ci/fuzz

bench: bench-program ## Measure beside a plain proxy and OpenSSH, half an hour, and rewrite docs/benchmarks.md.
	@echo "Measuring in network namespaces of its own. Let nothing else run on this machine."
	$(BENCH) run --write $(PAGE)
	$(BENCH) streams --write $(PAGE)
	@echo "Wrote the tables of $(PAGE)."

bench-short: bench-program ## Measure in a minute that nothing is slower than half of a plain proxy.
	$(BENCH) run --short

bench-program: prerequisites
	cargo build --locked --release --target $(TARGET) -p extconn-bench

end-to-end: build archive ## Run the end-to-end tests in the lab, which is brought up if it is down.
	.ci/end-to-end

installation: build ## Check the chart, and what an administrator sees of broken parts, on the lab.
	.ci/installation

control-plane: build ## Run the tests of the operator against an API server alone; needs no lab.
	cargo test --locked --workspace --test operator -- --ignored --test-threads=1

operator-kills: build ## Kill the operator at 1,000 of its writes, with 50 seeds (about ten minutes).
	EXTCONN_KILLS=1000 cargo test --locked --workspace --test operator -- --ignored --nocapture crash

operator-scale: build ## Measure the operator with 1,000 ExternalServices; rewrites its table in docs/benchmarks.md.
	EXTCONN_SCALE=1000 EXTCONN_WRITE=$(CURDIR)/docs/benchmarks.md \
	  cargo test --locked --workspace --test operator -- --ignored --nocapture scale

new-pods: build ## Measure the first connections of 1,000 new pods in a fresh lab; rewrites its table in docs/benchmarks.md.
	$(LAB) down && $(LAB) up && $(LAB) install
	EXTCONN_PODS=1000 EXTCONN_WRITE=$(CURDIR)/docs/benchmarks.md \
	  cargo test --locked --workspace --test new_pods -- --ignored --nocapture

planted-faults: build ## Plant every fault that `kubectl extconn test` must find, in a fresh lab (4 minutes).
	$(LAB) down && $(LAB) up && $(LAB) install
	cargo test --locked --workspace --test planted_faults -- --ignored --test-threads=1

from-nothing: build archive ## Answer the questions of init and expose in a fresh lab, to a proven source IP and back.
	$(LAB) down
	$(LAB) up
	cargo test --locked --workspace --test from_nothing -- --ignored --nocapture

transcripts: ## As from-nothing, and show in README.md what stood on the terminal.
	UPDATE_EXPECT=1 $(MAKE) --no-print-directory from-nothing

help-examples: build ## Run every example of every --help in the lab; removes extconn from it at the end.
	$(LAB) up
	cargo test --locked --workspace --test help_examples -- --ignored --test-threads=1

no-trace: lab ## Prove that the lab comes down without a trace, also when it was killed half-way.
	cargo test --locked --workspace --test no_trace -- --ignored --test-threads=1

build: lab ## Build the static binaries that are shipped.
	cargo build --locked --release --target $(TARGET) $(SHIPPED)

lab: prerequisites ## Build the lab's own program.
	cargo build --locked --release -p extconn-lab

prerequisites: ## Check what the build needs, and install what can be installed.
	@.ci/prerequisites $(TARGET)

dist: prerequisites ## Build the archives of the plugin for Linux (amd64, arm64) and Windows, and its krew manifest, in dist/.
	krew/dist.sh

archive: build
	REUSE=1 DIST=target/krew krew/dist.sh linux/$(subst aarch64,arm64,$(subst x86_64,amd64,$(ARCH)))

krew: archive ## Install the plugin with the real krew, from an archive for this machine.
	DIST=target/krew krew/test.sh

generate: ## Rewrite the files that are derived from code.
	UPDATE_EXPECT=1 cargo test --locked --workspace

clean: ## Take the lab down and remove what was built here (the lab's cache stays).
	[ ! -x $(LAB) ] || $(LAB) down
	cargo clean
