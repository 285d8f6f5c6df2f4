//! The module's container images (`envoy/oci.py`), read back: every digest, every media type, the module byte for byte, and through a real registry.
//!
//! Assumes Python and tar. The registry is Debian's, on loopback, and its test runs where it is asked for.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use system_tests::gateway::{filter_module, repository};
use system_tests::wait;
use tempfile::TempDir;

use crate::envoy::get;
use crate::files::{at, text};

const VERSION: &str = "1.2.3";
const PLAIN: &str = VERSION;
const ARTIFACT: &str = "1.2.3-artifact";

const WASM: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const TAR_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

#[test]
fn the_module_comes_out_of_the_plain_image_as_it_went_in() -> Result<()> {
    let folder = TempDir::new()?;
    pack(&filter_module(), folder.path())?;
    let manifest = manifest(folder.path(), PLAIN)?;
    ensure!(media_types(&manifest)? == [TAR_GZIP]);
    ensure!(at(&manifest, "/annotations/module.wasm.image~1variant")? == "compat");
    let layer = blob_file(folder.path(), at(&manifest, "/layers/0")?)?;
    let listing = stdout(
        Command::new("tar")
            .args(["--utc", "--numeric-owner", "-tvzf"])
            .arg(&layer),
    )?;
    let listing = String::from_utf8(listing)?;
    let words: Vec<_> = listing.split_whitespace().collect();
    let size = fs::metadata(filter_module())?.len().to_string();
    // One file, of nobody and no time: these would make two packings differ.
    ensure!(
        words
            == [
                "-rw-r--r--",
                "0/0",
                &size,
                "1970-01-01",
                "00:00",
                "plugin.wasm"
            ],
        "{listing}"
    );
    let unpacked = stdout(
        Command::new("tar")
            .arg("-xzOf")
            .arg(&layer)
            .arg("plugin.wasm"),
    )?;
    ensure!(unpacked == fs::read(filter_module())?);
    let config: Value = serde_json::from_slice(&blob(folder.path(), at(&manifest, "/config")?)?)?;
    let tar = stdout(Command::new("gzip").arg("-dc").arg(&layer))?;
    ensure!(at(&config, "/rootfs/diff_ids/0")? == &json!(digest(&tar)));
    Ok(())
}

#[test]
fn the_module_comes_out_of_the_artifact_as_it_went_in() -> Result<()> {
    let folder = TempDir::new()?;
    pack(&filter_module(), folder.path())?;
    let manifest = manifest(folder.path(), ARTIFACT)?;
    // Istio and Envoy Gateway take this form only with exactly two layers.
    ensure!(media_types(&manifest)? == [WASM_CONFIG, WASM]);
    ensure!(blob(folder.path(), at(&manifest, "/layers/1")?)? == fs::read(filter_module())?);
    Ok(())
}

#[test]
fn a_module_is_packed_into_the_same_bytes_every_time() -> Result<()> {
    let (one, other) = (TempDir::new()?, TempDir::new()?);
    pack(&filter_module(), one.path())?;
    let moved = other.path().join("renamed.wasm");
    fs::copy(filter_module(), &moved)?;
    let folder = other.path().join("layout");
    pack(&moved, &folder)?;
    let files = content(one.path())?;
    // Two manifests, two configurations, two layers, the index and the layout file.
    ensure!(files.len() == 8, "{:?}", files.keys());
    ensure!(files == content(&folder)?);
    Ok(())
}

#[test]
fn what_is_not_a_core_module_is_not_packed() -> Result<()> {
    let folder = TempDir::new()?;
    let component = folder.path().join("component.wasm");
    fs::write(&component, b"\0asm\x0d\0\x01\0")?;
    ensure!(pack(&component, &folder.path().join("layout")).is_err());
    ensure!(!folder.path().join("layout").exists());
    Ok(())
}

#[test]
#[ignore = "needs Debian's docker-registry and skopeo: make test-oci"]
fn a_registry_takes_both_images_and_gives_them_back_by_the_same_digest() -> Result<()> {
    let folder = TempDir::new()?;
    let (packed, pulled) = (folder.path().join("packed"), folder.path().join("pulled"));
    pack(&filter_module(), &packed)?;
    let registry = Registry::start(folder.path())?;
    for tag in [PLAIN, ARTIFACT] {
        let remote = format!("docker://{}/ase/filter:{tag}", registry.address);
        let local = |layout: &Path| format!("oci:{}:{tag}", layout.display());
        let mut push = Command::new("skopeo");
        stdout(push.args(["copy", "--dest-tls-verify=false", &local(&packed), &remote]))?;
        let mut pull = Command::new("skopeo");
        stdout(pull.args(["copy", "--src-tls-verify=false", &remote, &local(&pulled)]))?;
        ensure!(manifest(&pulled, tag)? == manifest(&packed, tag)?);
    }
    ensure!(content(&pulled.join("blobs"))? == content(&packed.join("blobs"))?);
    Ok(())
}

/// A registry of our own. Never outlives its test.
struct Registry {
    process: Child,
    address: SocketAddr,
}

impl Registry {
    fn start(folder: &Path) -> Result<Self> {
        // Free until somebody else takes it: then the registry ends and the test says so.
        let address = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let file = folder.join("registry.json");
        let configuration = json!({
            "version": "0.1",
            "http": {"addr": address.to_string()},
            "storage": {"filesystem": {"rootdirectory": folder.join("registry")}},
        });
        fs::write(&file, configuration.to_string())?;
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("docker-registry (Debian: apt-get install docker-registry skopeo)")?;
        wait::until_some(Duration::from_secs(20), "the registry", || {
            ensure!(process.try_wait()?.is_none(), "the registry ended");
            Ok(get(address, "/v2/", "")
                .ok()
                .filter(|(status, _)| *status == 200))
        })?;
        Ok(Self { process, address })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn pack(module: &Path, folder: &Path) -> Result<()> {
    let mut command = Command::new("python3");
    command
        .arg(repository().join("envoy/oci.py"))
        .arg(module)
        .arg(folder);
    let printed = stdout(command.args(["--version", VERSION]))?;
    for line in String::from_utf8(printed)?.lines() {
        let (tag, digest) = line.split_once("  ").context("tag and digest")?;
        ensure!(digest == text(at(&tagged(folder, tag)?, "/digest")?)?);
    }
    Ok(())
}

/// The manifest with that tag.
fn manifest(folder: &Path, tag: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&blob(
        folder,
        &tagged(folder, tag)?,
    )?)?)
}

fn tagged(folder: &Path, tag: &str) -> Result<Value> {
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json"))?)?;
    at(&index, "/manifests")?
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| {
            entry
                .pointer("/annotations/org.opencontainers.image.ref.name")
                .is_some_and(|name| name == tag)
        })
        .cloned()
        .with_context(|| format!("no {tag}"))
}

fn media_types(manifest: &Value) -> Result<Vec<&str>> {
    let layers = at(manifest, "/layers")?.as_array().context("layers")?;
    layers
        .iter()
        .map(|layer| text(at(layer, "/mediaType")?))
        .collect()
}

/// What a descriptor stands for, held against its digest and size.
fn blob(folder: &Path, descriptor: &Value) -> Result<Vec<u8>> {
    let content = fs::read(blob_file(folder, descriptor)?)?;
    ensure!(at(descriptor, "/digest")? == &json!(digest(&content)));
    ensure!(at(descriptor, "/size")? == &json!(content.len()));
    Ok(content)
}

fn blob_file(folder: &Path, descriptor: &Value) -> Result<PathBuf> {
    let digest = text(at(descriptor, "/digest")?)?;
    let name = digest.strip_prefix("sha256:").context("a SHA-256 digest")?;
    Ok(folder.join("blobs/sha256").join(name))
}

fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// Every file below a folder, by its path in it.
fn content(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let (mut files, mut left) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        } else {
            files.insert(path.strip_prefix(folder)?.to_path_buf(), fs::read(&path)?);
        }
    }
    Ok(files)
}

fn stdout(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}
