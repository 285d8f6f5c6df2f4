//! How the module is linked: with a quarter of the linker's usual stack, in which every scenario runs.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_ARCH");
    if target.is_ok_and(|target| target == "wasm32") {
        // Each worker has one. It lies below everything else, so that a filter that needed more would trap and not overwrite anything.
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=262144");
    }
}
