//! The corpus, replayed: what a fuzzer has found once stays fixed.

use std::fs;
use std::path::Path;

use ase_fuzz::{TARGETS, Target, daemon};

fn every_target() -> impl Iterator<Item = (&'static str, Target)> {
    TARGETS.into_iter().chain(daemon::TARGETS)
}

#[test]
fn no_input_of_the_corpus_breaks_its_target() {
    for (name, target) in every_target() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let mut inputs = 0;
        for input in fs::read_dir(&folder).unwrap() {
            let path = input.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{} is empty", folder.display());
    }
}

/// A log is twenty requests through a whole engine, where other inputs are one: it is cut and bent at every fourth byte, so that this stays a matter of seconds.
fn stride(target: &str) -> usize {
    if target == "engine" { 4 } else { 1 }
}

/// Every prefix and every flipped byte of the corpus too: cheap, and near to what breaks parsers.
#[test]
fn no_cut_or_bent_input_of_the_corpus_breaks_its_target() {
    for (name, target) in every_target() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        for input in fs::read_dir(&folder).unwrap() {
            let bytes = fs::read(input.unwrap().path()).unwrap();
            for at in (0..bytes.len().min(512)).step_by(stride(name)) {
                target(&bytes[..at]);
                for bent in [0x00, 0x22, 0x25, 0x5c, 0x80, 0xff] {
                    let mut copy = bytes.clone();
                    copy[at] = bent;
                    target(&copy);
                }
            }
        }
    }
}
