# Every way to check this project; CI runs these same recipes.
.PHONY: setup fmt lint test crash day ci demo bench

setup: ## install the real parts that the tests drive, where missing
	tests/setup

fmt: ## check the formatting
	cargo fmt --all --check

lint: ## clippy and the documentation's links over everything, warnings are errors
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items --locked

test: setup ## unit, integration and end-to-end tests with the real parts
	cargo nextest run --workspace --locked $(NEXTEST)

crash: setup ## 1,000 times kill -9 under load; a failing run prints the SEED to run again
	KILLS=1000 cargo nextest run --package pullgate --test crash --locked --profile long --no-capture

day: setup ## half an hour of a registry's bad day under twenty clients; prints its report
	DAY=1800 cargo nextest run --package pullgate --test day --locked --profile long --no-capture

ci: ## what CI runs
	.ci/run

demo: ## a registry that fails and a mirror that copes, in one process
	cargo run --locked -- demo

bench: setup ## pullgate beside nginx and docker-registry; writes docs/benchmarks.md (BENCH="--quick --rows layer" for less)
	cargo build --release --locked -p pullgate -p bench
	target/release/loadtest bench --table docs/benchmarks.md $(BENCH)
