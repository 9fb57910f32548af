#!/bin/sh
# `make doctor`: what is installed, what runs, and one line with the remedy for each fault. Works
# when nothing compiles; what needs the library is in doctor.cpp.
: "${CXX:=g++}" "${MAKE:=make}" "${BIN:=build/bin}"
faults=0
ok() { printf 'ok     %-9s %s\n' "$1" "$2"; }
fault() {
  printf 'FAULT  %-9s %s\n' "$1" "$2"
  faults=$((faults + 1))
}
# expand 'headers and one line of code': the line after preprocessing, fails without the header.
expand() { printf '%s\n' "$1" | $CXX -std=c++20 -E -P -x c++ - 2>/dev/null | tail -n 1; }
# version_of name header 'macros': reports the version that the macros spell.
version_of() {
  if ! printf '#include <%s>\n' "$2" | $CXX -std=c++20 -E -x c++ - >/dev/null 2>&1; then
    fault "$1" "header $2 is missing: make deps"
    return
  fi
  ok "$1" "$(expand "#include <$2>
$3" | tr -d '" ')"
}

if ! version=$($CXX --version 2>/dev/null); then
  fault compiler "there is no $CXX: make deps"
elif ! echo '#include <span>
int main() { std::span<int> none; return static_cast<int>(none.size()); }' |
  $CXX -std=c++20 -x c++ - -o /dev/null 2>/dev/null; then
  fault compiler "$CXX does not build C++20: GCC 12 or Clang 14 do (make CXX=...)"
else
  ok compiler "$(echo "$version" | head -n 1)"
fi
case $($MAKE --version 2>/dev/null | head -n 1) in
  'GNU Make 3'*) fault make 'GNU Make is older than 4: install a newer one' ;;
  'GNU Make'*) ok make "$($MAKE --version | head -n 1)" ;;
  *) fault make "$MAKE is not GNU Make: gmake may be" ;;
esac
version_of CLI11 CLI/Version.hpp CLI11_VERSION
version_of zlib zlib.h ZLIB_VERSION
version_of pugixml pugixml.hpp PUGIXML_VERSION
version_of json nlohmann/json.hpp \
  'NLOHMANN_JSON_VERSION_MAJOR.NLOHMANN_JSON_VERSION_MINOR.NLOHMANN_JSON_VERSION_PATCH'
stb=$(echo '#include <stb/stb_image.h>' | $CXX -E -x c++ - 2>/dev/null |
  sed -n 's/^# 1 "\(.*stb_image\.h\)".*/\1/p' | head -n 1)
if [ -n "$stb" ]; then
  ok stb "$(sed -n 's/.*\(stb_image - v[0-9.]*\).*/\1/p' "$stb" | head -n 1)"
else
  fault stb 'header stb/stb_image.h is missing: make deps'
fi
if echo '#include <catch2/catch_all.hpp>' | $CXX -std=c++20 -E -x c++ - >/dev/null 2>&1; then
  header=catch2/catch_version_macros.hpp
else
  header=catch2/catch.hpp
fi
version_of Catch2 $header 'CATCH_VERSION_MAJOR.CATCH_VERSION_MINOR.CATCH_VERSION_PATCH'
sh tests/tools/catch2_libs.sh "$CXX" >/dev/null 2>&1 ||
  fault Catch2 'its library is missing or built by another compiler: make deps'

data=/usr/share/datasets/fashion-mnist
for part in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
  if ! gzip -t "$data/$part-ubyte.gz" 2>/dev/null; then
    fault data "$data/$part-ubyte.gz is missing or damaged: apt-get install --reinstall dataset-fashion-mnist"
    bad=1
  fi
done
[ -z "${bad:-}" ] && ok data "Fashion-MNIST in $data"

if [ $faults -gt 0 ]; then
  echo "doctor: $faults faults; threads and BLAS are examined when they are gone"
  exit 1
fi
if ! log=$($MAKE "$BIN/doctor" 2>&1); then
  echo "$log" | tail -n 15
  fault build 'the library does not compile: the lines above say why (git status shows local changes)'
  exit 1
fi
"$BIN/doctor" 2>/dev/null && echo 'doctor: no faults'
