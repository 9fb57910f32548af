#!/bin/sh
# What boxgrad needs from the system: looks for it, and installs it where apt is.
#
#   deps.sh check        list what is missing and how to get it; exit status 1 when something is
#   deps.sh ensure       install when something is missing
#   deps.sh install      install
#   deps.sh ensure-ci    the same, and clang-format
#   deps.sh ensure-fetch install curl when nothing is there that fetches a file
#   deps.sh install-dev  install what only developers need
#
# It looks for headers, libraries and files rather than packages, so that a system that has them
# from elsewhere is left alone.
set -u
: "${CXX:=g++}"

packages='g++ make libopenblas-dev libstb-dev catch2 zlib1g-dev libpugixml-dev nlohmann-json3-dev libcli11-dev dataset-fashion-mnist'
packages_dev='clang clang-format clang-tidy ccache valgrind python3-torch python3-torchvision'
data=/usr/share/datasets/fashion-mnist

finds() { echo "#include <$1>" | "$CXX" -std=c++20 -E -x c++ - >/dev/null 2>&1; }

# missing: prints one line per thing that is not there.
missing() {
  if ! command -v "$CXX" >/dev/null 2>&1; then
    echo "a C++20 compiler ($CXX), without which nobody can look for libraries"
  else
    while read -r header what; do
      finds "$header" || echo "$what (header $header)"
    done <<'HEADERS'
cblas.h OpenBLAS
stb/stb_image.h stb
zlib.h zlib
pugixml.hpp pugixml
nlohmann/json.hpp nlohmann-json
CLI/App.hpp CLI11
HEADERS
    finds catch2/catch_all.hpp || finds catch2/catch.hpp || echo 'Catch2 (header catch2/catch.hpp)'
    for library in openblas pugixml z; do
      echo 'int main() {}' | "$CXX" -x c++ - -o /dev/null -l$library 2>/dev/null ||
        echo "lib$library"
    done
  fi
  [ -r "$data/train-images-idx3-ubyte.gz" ] || echo "Fashion-MNIST ($data)"
}

# What to do where apt is not.
elsewhere() {
  echo 'boxgrad: this system has no apt-get. Building needs a C++20 compiler, GNU make, and:'
  echo '  OpenBLAS, stb, Catch2, zlib, pugixml, nlohmann-json, CLI11; Fashion-MNIST as the four'
  echo "  .gz files of its authors in $data"
  if [ "$(uname -s)" = Darwin ]; then
    echo '  Homebrew names (unverified): openblas stb catch2 zlib pugixml nlohmann-json cli11 make'
  fi
}

install() {
  if ! command -v apt-get >/dev/null 2>&1; then
    elsewhere
    return 1
  fi
  if [ "$(id -u)" = 0 ]; then
    sudo=
  elif command -v sudo >/dev/null 2>&1; then
    sudo='sudo '
  else
    echo 'boxgrad: installing needs root, and there is no sudo here. As root, run:'
    echo "  apt-get update && apt-get install -y $*"
    return 1
  fi
  echo "boxgrad: installing with ${sudo}apt-get install: $*"
  echo '  (a minute or two; about 160 MB when nothing is there yet)'
  # A list of packages may be missing (fresh images) or old; then installing fails at first.
  quiet='-y -qq -o=Dpkg::Use-Pty=0 --no-install-recommends'
  export DEBIAN_FRONTEND=noninteractive
  ${sudo}apt-get install $quiet "$@" >/dev/null 2>&1 && return 0
  ${sudo}apt-get update -qq && ${sudo}apt-get install $quiet "$@" >/dev/null && return 0
  echo "boxgrad: ${sudo}apt-get could not install: $*" >&2
  return 1
}

case "${1:-}" in
  check)
    list=$(missing)
    [ -z "$list" ] && exit 0
    echo 'boxgrad: missing on this system (`make deps` installs it where apt is):' >&2
    echo "$list" | sed 's/^/  /' >&2
    exit 1
    ;;
  ensure | ensure-ci)
    if [ "$1" = ensure-ci ] && ! command -v clang-format >/dev/null 2>&1; then
      install $packages clang-format || exit 1
    fi
    list=$(missing)
    [ -z "$list" ] && exit 0
    echo 'boxgrad: missing on this system:'
    echo "$list" | sed 's/^/  /'
    install $packages || exit 1
    list=$(missing)
    [ -z "$list" ] && exit 0
    echo 'boxgrad: still missing after the installation:' >&2
    echo "$list" | sed 's/^/  /' >&2
    exit 1
    ;;
  ensure-fetch)
    for fetcher in npm curl wget; do
      command -v $fetcher >/dev/null 2>&1 && exit 0
    done
    install curl ca-certificates || exit 1
    ;;
  install)
    install $packages && echo 'boxgrad: everything is installed'
    ;;
  install-dev)
    # LeakSanitizer and the others of clang sit in a package named after its version.
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
    echo 'boxgrad: PyTorch, for golden values, is large'
    install $packages $packages_dev ${version:+libclang-rt-$version-dev} &&
      echo 'boxgrad: everything is installed'
    ;;
  *)
    echo 'usage: deps.sh check|ensure|ensure-ci|ensure-fetch|install|install-dev' >&2
    exit 1
    ;;
esac
