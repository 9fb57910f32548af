#!/bin/sh
# Fetches the npm package @vladmandic/face-api 1.7.15 (12.7 MB, MIT licence), which has the weights of a face detector
# and six photos, holds it against its hash and unpacks it. Nothing of it is run.
#
#   fetch_faces.sh out/face-api      afterwards there is out/face-api/package
#
# npm, curl or wget, whichever is there; FACE_API_URL is another place to get the same file from.
set -u
folder=${1:?usage: fetch_faces.sh FOLDER}
version=1.7.15
file=vladmandic-face-api-$version.tgz
url=${FACE_API_URL:-https://registry.npmjs.org/@vladmandic/face-api/-/face-api-$version.tgz}
package_hash=0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031
weights_hash=2835640602d53718aa6ae9a42896327eaa21beefed056c218d32ca7d79e1e2f8
manifest_hash=888f744dffbc84f5f060d1f8427d9742341943a2dfaaf9205d10029b7e7a2955

say() { echo "faces: $*"; }
fail() { say "$*" >&2; exit 1; }
hash_of() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1"; else shasum -a 256 "$1"; fi 2>/dev/null | cut -d' ' -f1
}
model=$folder/package/model/ssd_mobilenetv1_model
whole() {
  [ "$(hash_of "$model.bin")" = $weights_hash ] &&
    [ "$(hash_of "$model-weights_manifest.json")" = $manifest_hash ]
}

whole && exit 0
mkdir -p "$folder" || fail "cannot make the folder $folder"
work=$(mktemp -d "$folder/fetch.XXXXXX") || fail "cannot write to $folder"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

if [ "$(hash_of "$folder/$file")" = $package_hash ]; then
  cp "$folder/$file" "$work/$file"
else
  sh tests/tools/deps.sh ensure-fetch || fail 'fetching needs npm, curl or wget'
  say "fetching $url (12.7 MB)"
  [ -z "${FACE_API_URL:-}" ] && command -v npm >/dev/null 2>&1 &&
    (cd "$work" && npm pack --silent @vladmandic/face-api@$version >/dev/null 2>&1)
  [ -s "$work/$file" ] || { command -v curl >/dev/null 2>&1 &&
    curl --fail --silent --show-error --location --max-filesize 20000000 --retry 2 -o "$work/$file" "$url"; }
  [ -s "$work/$file" ] || { command -v wget >/dev/null 2>&1 && wget -q -O "$work/$file" "$url"; }
  [ -s "$work/$file" ] || fail "could not fetch $url (no network? put the file at $folder/$file)"
fi
hash=$(hash_of "$work/$file")
[ "$hash" = $package_hash ] ||
  fail "the package's sha256 must be $package_hash, got $hash: not unpacked"
tar -xzf "$work/$file" -C "$work" || fail "tar could not unpack $file"
rm -rf "$folder/package"
mv "$work/package" "$folder/package" && mv "$work/$file" "$folder/$file" || fail "cannot write to $folder"
whole || fail "$folder/package is damaged"
say "sha256 $hash is right; unpacked to $folder/package"
