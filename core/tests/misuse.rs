//! What other crates must not be able to write: the compiler itself is the oracle.

#[test]
fn faults_cannot_be_forged() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/misuse/forged_faults.rs");
    cases.compile_fail("tests/misuse/empty_faults.rs");
}
