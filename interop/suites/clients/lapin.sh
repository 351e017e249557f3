# lapin (Rust): all its tests, without TLS.

crate_source lapin 4.12.3

lapin_tests() {
    export AMQP_ADDR=$AMQP_URL CARGO_TARGET_DIR=$work/target
    # A binary that fails does not keep the others from running.
    cargo test --no-fail-fast --no-default-features --features tokio,smol --lib --tests 2>&1 | tee "$RESULTS/cargo.txt"
}
export -f lapin_tests

fresh_copy lapin-4.12.3
# Not a member of the workspace above.
printf '\n[workspace]\n' >>Cargo.toml
CARGO_TARGET_DIR=$work/target quietly cargo test --no-run --no-default-features --features tokio,smol --lib --tests
suite lapin-4.12.3 180 bash -ec lapin_tests
