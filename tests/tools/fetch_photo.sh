#!/bin/sh
# Takes one photo with a face, NASA's portrait of Eileen Collins (public domain), out of Debian's package python3-skimage
# (20.7 MB, of which nothing is installed), and holds it against its hash.
#
#   fetch_photo.sh out/face-api      afterwards there is out/face-api/astronaut.png
set -u
folder=${1:?usage: fetch_photo.sh FOLDER}
photo_hash=88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5
inside=usr/lib/python3/dist-packages/skimage/data/astronaut.png

say() { echo "photo: $*"; }
fail() { say "$*" >&2; exit 1; }
whole() { [ "$(sha256sum "$1" 2>/dev/null | cut -d' ' -f1)" = $photo_hash ]; }

whole "$folder/astronaut.png" && exit 0
mkdir -p "$folder" || fail "cannot make the folder $folder"
work=$(mktemp -d "$folder/fetch.XXXXXX") || fail "cannot write to $folder"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

if [ -r "/$inside" ]; then
  cp "/$inside" "$work/astronaut.png"
else
  command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || fail 'fetching needs apt-get and dpkg'
  download() { (cd "$work" && apt-get download -qq python3-skimage >/dev/null 2>&1); }
  say 'fetching python3-skimage (20.7 MB)'
  download || { apt-get update -qq >/dev/null 2>&1 && download; } ||
    fail 'could not fetch python3-skimage with apt-get'
  dpkg -x "$work"/python3-skimage_*.deb "$work/files" || fail 'could not unpack python3-skimage'
  mv "$work/files/$inside" "$work/astronaut.png" || fail "python3-skimage has no /$inside"
fi
whole "$work/astronaut.png" || fail "another astronaut.png than the one that was measured: its sha256 is not $photo_hash"
mv "$work/astronaut.png" "$folder/astronaut.png" || fail "cannot write to $folder"
say "$folder/astronaut.png"
