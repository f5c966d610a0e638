# Every command that a developer needs, by name. A thin front for cargo, go and the scripts under tests/.
SHELL := /bin/sh
.DEFAULT_GOAL := help
CARGO ?= cargo
# Reference tools that `make test` needs; tests/tools/tools.txt has them all.
TOOLS ?= kwok helm kustomize registry versitygw
# For bench: how many Kustomizations, and where the JSON goes.
N ?= 100
BENCH_OUT ?=
# For bench-images: how many ImageRepositories.
IMAGES ?= 500
# For chaos: how many faults, and where the logs go at the end.
FAULTS ?= 50
LOGS ?=
# For soak.
MINUTES ?= 10
# For fuzz and chaos: the first seed. For fuzz: seconds for each of its targets (there are 20, so 60 is twenty minutes),
# how many random overlays and charts, and KiB of address space, beyond which an input ends the run.
SEED ?= 1
TIME ?= 60
FUZZ_SECONDS ?= $(TIME)
OVERLAYS ?= 1000
FUZZ_MEMORY ?= 4194304
# For roles: the API cases that make the controllers do what they are there for.
ROLES ?= fields:: sync::a_dependent sync::deletion old_manifests:: apply::variables apply::encrypted artifact_generator:: \
	bucket::a_bucket charts:: oci_repository:: helm_release::a_ helm_registry::every images::a_new images_git::a_tag \
	images_login:: images_old:: notification:: notification_bounds:: notification_old:: leaders::a_leader_that_ends \
	leaders::shards kms:: registries:: cloud::
# For demo: 1 leaves everything running at the end.
KEEP ?=

# Everything that a demo or a benchmark runs, built at once, so that no dependency is built twice.
PRODUCT = --package source-controller --package kustomize-controller --package helm-controller --package notification-controller --package image-controller --package sluice --package sluice-programs
TARGET = $$($(CARGO) metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: fmt
fmt: ## Format Rust and Go
	$(CARGO) fmt --all
	gofmt -w tests/controlplane

.PHONY: lint
lint: ## Formatting, clippy without warnings, generated files up to date, Go vet
	$(CARGO) fmt --all --check
	@unformatted=$$(gofmt -l tests/controlplane); test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	cd tests/controlplane && go vet ./supervisor
	$(MAKE) verify

.PHONY: test
test: controlplane tools ## All tests, with a real control plane that they share
	$(CARGO) build --workspace --all-targets --locked
	SLUICE_BIN_DIR=$(TARGET)/debug $(CARGO) test --workspace --locked --no-fail-fast

.PHONY: test-api
test-api: controlplane ## Only the cases that need a real API server (CASE=name selects some)
	$(CARGO) test --package sluice-tests --locked -- $(CASE)

.PHONY: roles
roles: controlplane tools ## Whether each right in the roles of the controllers is needed by the cases that use most of them (ROLES="case …")
	$(CARGO) build --workspace --bins --locked
	@SLUICE_BIN_DIR=$(TARGET)/debug $(TARGET)/debug/roles -- $(CARGO) test --package sluice-tests --locked --test it -- $(ROLES)

.PHONY: test-cosign
test-cosign: controlplane tools ## The cases that need the real cosign, which takes minutes to build
	@tests/tools/install.sh cosign >/dev/null
	$(CARGO) build --workspace --bins --locked
	SLUICE_BIN_DIR=$(TARGET)/debug $(CARGO) test --package sluice-tests --locked --test it -- --ignored cosign

.PHONY: test-azure
test-azure: ## The case that needs Azure's emulator of blob storage, a Node program
	@tests/tools/azurite.sh $(CARGO) test --package sluice-bucket --locked --test it -- --ignored emulator

.PHONY: generate
generate: ## Write the files that are generated from the types (CRDs)
	$(CARGO) xtask generate

.PHONY: verify
verify: ## Fail when a generated file is stale
	$(CARGO) xtask verify

.PHONY: controlplane
controlplane: ## Build the test control plane into the cache (minutes, once)
	@tests/controlplane/build.sh program
	@tests/controlplane/build.sh supervisor
	@tests/tools/install.sh kwok

.PHONY: tools
tools: ## Build the pinned reference tools into the cache (TOOLS="helm sops …")
	@for tool in $(TOOLS); do tests/tools/install.sh $$tool || exit 1; done

.PHONY: playground
playground: controlplane ## An empty control plane to play with, until Ctrl-C
	$(CARGO) run --quiet --locked --package sluice-programs --bin playground

.PHONY: demo
demo: controlplane ## Watch a commit become objects (KEEP=1 leaves it up)
	@tests/tools/install.sh registry >/dev/null
	@$(CARGO) build --locked $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/debug KEEP=$(KEEP) $(TARGET)/debug/demo

.PHONY: bench
bench: controlplane ## Seconds, CPU and memory for N Kustomizations (N=100 BENCH_OUT=file.json)
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/bench --count $(N) $(if $(BENCH_OUT),--json $(BENCH_OUT))

.PHONY: bench-helm-releases
bench-helm-releases: controlplane ## Seconds, CPU and memory for N HelmReleases (N=100 BENCH_OUT=file.json)
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/bench --helm-releases --count $(N) $(if $(BENCH_OUT),--json $(BENCH_OUT))

.PHONY: bench-push
bench-push: controlplane ## From a webhook to applied objects, with N Kustomizations (N=100)
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/bench_push --count $(N)

.PHONY: bench-sources
bench-sources: controlplane ## Seconds, CPU and memory for N OCIRepositories and N HelmCharts (N=100)
	@tests/tools/install.sh registry >/dev/null && tests/tools/install.sh helm >/dev/null
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/bench_sources --count $(N)

.PHONY: bench-index
bench-index: controlplane ## A chart looked up in a Helm index of 40,000 versions, beside helm pull
	@tests/tools/install.sh helm >/dev/null
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/bench_index

.PHONY: bench-images
bench-images: controlplane ## Seconds, CPU and memory for IMAGES ImageRepositories on 10 registries (IMAGES=500)
	@tests/tools/install.sh registry >/dev/null
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/bench_images --count $(IMAGES)

.PHONY: bench-git
bench-git: controlplane ## 1,000 GitRepositories of 20 URLs at rest, then large repositories beside git and tar
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/bench_git

.PHONY: bench-kustomize
bench-kustomize: ## CPU and memory of five layers over 1,000 and 10,000 resources, beside kustomize
	@$(CARGO) build --locked --profile fast --package sluice --package sluice-programs --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/bench_kustomize --kustomize "$$(tests/tools/install.sh kustomize)"

.PHONY: bench-helm
bench-helm: ## CPU time and memory of chart rendering beside helm's
	@crates/helm/benches/bench.sh

# For bench-scale: the numbers at the largest size, such as SCALE="--kustomizations 200 --sizes 2".
SCALE ?=
# The page that gets the figures; empty for none.
PAGE ?= docs/benchmarks.md
# For bench-all: other sizes, such as ALL="--counts 100 --repository 2000,1000,64".
ALL ?=

.PHONY: bench-scale
bench-scale: controlplane ## Everything at once in growing numbers: table and plot for docs/benchmarks.md (SCALE=…)
	@tests/tools/install.sh registry >/dev/null
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/bench_scale $(SCALE) $(if $(PAGE),--page $(PAGE))

.PHONY: bench-all
bench-all: controlplane ## All benchmarks in one run, each beside its target (ALL=…)
	@tests/tools/install.sh helm >/dev/null && tests/tools/install.sh registry >/dev/null
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/bench_all --release $(TARGET)/release --kustomize "$$(tests/tools/install.sh kustomize)" $(ALL) $(if $(PAGE),--page $(PAGE))

.PHONY: flamegraphs
flamegraphs: controlplane ## Where controllers spend CPU time while N Kustomizations and HelmReleases change: target/flamegraphs (N=100; needs perf)
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@tests/tools/flamegraphs.sh $(TARGET)/fast $(TARGET)/flamegraphs $(N)

.PHONY: chaos
chaos: controlplane ## A fleet that changes while everything fails: kills, cuts, full disks (SEED=1 FAULTS=50)
	@tests/tools/install.sh registry >/dev/null && tests/tools/install.sh versitygw >/dev/null
	@$(CARGO) build --locked $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/debug $(TARGET)/debug/chaos --seed $(SEED) --faults $(FAULTS) $(if $(LOGS),--logs $(LOGS))

.PHONY: soak
soak: controlplane ## Hours of changes in MINUTES, with intervals of seconds: memory must not grow (MINUTES=10)
	@tests/tools/install.sh registry >/dev/null && tests/tools/install.sh versitygw >/dev/null
	@$(CARGO) build --locked --profile fast $(PRODUCT) --bins
	@SLUICE_BIN_DIR=$(TARGET)/fast $(TARGET)/fast/chaos --seed $(SEED) --faults 0 --soak $(MINUTES)

.PHONY: fuzz
fuzz: ## Mutated input of every kind that comes from outside, TIME seconds for each kind, then random overlays beside kustomize and charts beside helm (TIME=60 SEED=1 OVERLAYS=1000)
	@$(CARGO) build --quiet --locked --package sluice-fuzz
	@ulimit -v $(FUZZ_MEMORY); $(TARGET)/debug/sluice-fuzz $(FUZZ_SECONDS) $(SEED)
	@SLUICE_FUZZ_SECONDS=$(FUZZ_SECONDS) SLUICE_FUZZ_SEED=$(SEED) $(CARGO) test --quiet --locked --package notification-controller webhooks_of_all_types -- --nocapture
	@SLUICE_SEED=$(SEED) SLUICE_CASES=$(OVERLAYS) $(CARGO) test --quiet --locked --package sluice-kustomize --test it random -- --nocapture
	@SLUICE_SEED=$(SEED) SLUICE_CASES=$(OVERLAYS) $(CARGO) test --quiet --locked --package sluice-helm --test it random -- --nocapture

.PHONY: build
build: ## Release binaries
	$(CARGO) build --release --workspace --bins --locked

.PHONY: deny
deny: ## Advisories, licences and sources of the dependencies (builds cargo-deny once, reads the advisories from the net)
	$$(tests/tools/install.sh cargo-deny) check

.PHONY: sbom
sbom: ## What is in each binary, as CycloneDX: target/sbom/NAME.cdx.json (builds cargo-cyclonedx once)
	@tests/tools/sbom.sh "$$(tests/tools/install.sh cargo-cyclonedx)"

.PHONY: reproducible
reproducible: ## Build the release twice, in two folders, and compare the bytes (tens of minutes)
	@tests/tools/reproducible.sh

.PHONY: clean
clean: ## Remove what cargo has built; the cache of control plane and tools stays
	$(CARGO) clean
