//! What must not compile: a permit made anywhere but in the exchange.

#[test]
fn a_permit_cannot_be_forged() {
    trybuild::TestCases::new().compile_fail("tests/misuse/*.rs");
}
