"""Packs the filter as OCI images in an image layout: python3 oci.py MODULE FOLDER --version VERSION.

Two tags, for the same module, in the two forms that Istio and Envoy Gateway read: VERSION, a plain image with the one file plugin.wasm, which every registry
takes, and VERSION-artifact, the module as a blob of its own media type. The same module gives the same bytes on any machine: no times, no owners, and compression
that compresses nothing. Prints each digest. Standard library only.
"""

import argparse
import hashlib
import io
import json
import pathlib
import shutil
import struct
import sys
import tarfile
import zlib

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
TAR_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
WASM = "application/vnd.module.wasm.content.layer.v1+wasm"
WASM_CONFIG = "application/vnd.module.wasm.config.v1+json"

# What a wasm file begins with: magic number and version of a core module. A component has another version, and no proxy runs one.
CORE_MODULE = b"\0asm\1\0\0\0"

# The longest stored block.
BLOCK = 65535


class Layout:
    """A folder of blobs by digest, with an index of tagged manifests."""

    def __init__(self, folder):
        self.folder, self.manifests = folder, []
        (folder / "blobs" / "sha256").mkdir(parents=True)

    def blob(self, media_type, content):
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs" / "sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def image(self, tag, config, layers, annotations):
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
            "annotations": {"org.opencontainers.image.title": "ASE filter", "org.opencontainers.image.licenses": "Apache-2.0", **annotations},
        }
        descriptor = self.blob(MANIFEST, document(manifest))
        self.manifests.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}})
        return descriptor["digest"]

    def close(self):
        (self.folder / "oci-layout").write_bytes(document({"imageLayoutVersion": "1.0.0"}))
        (self.folder / "index.json").write_bytes(document({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path, help="made anew")
    parser.add_argument("--version", required=True)
    arguments = parser.parse_args()
    module = arguments.module.read_bytes()
    if not module.startswith(CORE_MODULE):
        print(f"oci: {arguments.module} is not a wasm module", file=sys.stderr)
        return 1
    shutil.rmtree(arguments.folder, ignore_errors=True)
    layout = Layout(arguments.folder)
    version = {"org.opencontainers.image.version": arguments.version}
    for tag, pack in ((arguments.version, plain), (f"{arguments.version}-artifact", artifact)):
        print(f"{tag}  {pack(layout, tag, module, version)}")
    layout.close()
    return 0


def plain(layout, tag, module, version):
    """An image whose one layer holds plugin.wasm."""
    layer = archive("plugin.wasm", module)
    config = {
        "architecture": "wasm", "os": "wasi", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    return layout.image(
        tag, layout.blob(CONFIG, document(config)), [layout.blob(TAR_GZIP, stored(layer))],
        {**version, "module.wasm.image/variant": "compat"},
    )


def artifact(layout, tag, module, version):
    """The module as it is. Its readers want two layers: one of them is this form's own, empty configuration."""
    config = layout.blob(WASM_CONFIG, document({}))
    return layout.image(tag, config, [config, layout.blob(WASM, module)], version)


def archive(name, content):
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def stored(content):
    """As gzip (RFC 1952) of stored blocks (RFC 1951, 3.2.4). What a compressor makes differs between its versions, and Python's header does too."""
    parts = [b"\x1f\x8b\x08" + bytes(6) + b"\xff"]
    for start in range(0, len(content), BLOCK):
        block = content[start:start + BLOCK]
        last = start + BLOCK >= len(content)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF))
    return b"".join(parts)


def document(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


if __name__ == "__main__":
    sys.exit(main())
