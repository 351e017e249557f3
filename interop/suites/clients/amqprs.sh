# amqprs (Rust): all its tests, without TLS. They have their broker's address and user in them, which is patched.

crate_source amqprs 2.1.5

amqprs_tests() {
    CARGO_TARGET_DIR=$work/target cargo test --no-fail-fast --features urispec --lib --tests 2>&1 | tee "$RESULTS/cargo.txt"
}
export -f amqprs_tests

fresh_copy amqprs-2.1.5
# Not a member of the workspace above.
printf '\n[workspace]\n' >>Cargo.toml
find src tests -name '*.rs' -print0 | xargs -0 sed -i -E \
    -e 's/"localhost", 5672, "user", "bitnami"/"localhost", std::env::var("AMQP_PORT").unwrap().parse().unwrap(), "guest", "guest"/' \
    -e 's/"localhost:5672"/\&format!("127.0.0.1:{}", std::env::var("AMQP_PORT").unwrap())/' \
    -e 's/get_port\(\), 5672/get_port().to_string(), std::env::var("AMQP_PORT").unwrap()/' \
    -e 's/(new_plain|new_amqplain)\("user", "bitnami"\)/\1("guest", "guest")/' \
    -e 's/with_user_id\("user"\)/with_user_id("guest")/' \
    -e '/\/\/\//! s/OpenConnectionArguments::default\(\)$/&.port(std::env::var("AMQP_PORT").unwrap().parse().unwrap())/'
CARGO_TARGET_DIR=$work/target quietly cargo test --no-run --features urispec --lib --tests
suite amqprs-2.1.5 180 bash -ec amqprs_tests
