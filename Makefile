# Recipes to check this project. CI runs the same recipes.
.PHONY: setup fmt lint test crash day ci demo pictures bench manifests checkov image dist

setup: ## install the missing programs that the tests use
	tests/setup

fmt: ## check the formatting
	cargo fmt --all --check

lint: ## run clippy, and check the links of the documentation; warnings are errors
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items --locked

test: setup ## unit, integration and end-to-end tests with real programs
	cargo nextest run --workspace --locked $(NEXTEST)

crash: setup ## kill -9 under load, 1,000 times; a failing run prints the SEED that repeats it
	KILLS=1000 cargo nextest run --package pullgate --test crash --locked --profile long --no-capture

day: setup ## simulate a registry's bad day for half an hour, with twenty clients; prints its report
	DAY=1800 cargo nextest run --package pullgate --test day --locked --profile long --no-capture

ci: ## what CI runs
	.ci/run

demo: ## run a mirror and a registry that misbehaves, in one process
	cargo run --locked -- demo

pictures: setup ## make the pictures of the README anew, in docs/pictures
	PICTURES=$(CURDIR)/docs/pictures cargo nextest run --package pullgate --test pictures --locked

bench: setup ## compare pullgate with nginx and docker-registry; writes docs/benchmarks.md (BENCH="--quick --rows layer" for less)
	cargo build --release --locked -p pullgate -p bench
	target/release/loadtest bench --table docs/benchmarks.md $(BENCH)

manifests: ## generate deploy/kubernetes from the chart, and the chart's copies of rules and dashboards
	deploy/manifests

checkov: setup ## check the chart's objects with checkov (290 MB, fetched at the first use)
	deploy/checkov

image: setup ## build the static binary and the container image, in target/dist
	deploy/dist --image

dist: setup ## build a release in target/dist: binary, image (both built twice and compared), chart, SBOM, checksums
	deploy/dist --twice
	PULLGATE_BINARY=$$(echo $(CURDIR)/target/dist/pullgate-*-linux-amd64) cargo nextest run --package pullgate --test deploy --locked image::
