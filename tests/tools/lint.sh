#!/bin/sh
# The rules of the house that no compiler checks. Prints file:line of each breach; status 1 if any.
breaches=$(mktemp) || exit 1
trap 'rm -f "$breaches"' EXIT

# rule 'what it says' : reads "file:line: text" lines, silent when there are none.
rule() {
  found=$(cat)
  [ -z "$found" ] && return
  echo "lint: $1"
  echo "$found" | sed 's/^/  /'
  echo "$1" >>"$breaches"
}
folder() { [ -d "$1" ] && find "$1" -name '*.h' -o -name '*.cpp' | grep -E '\.(h|cpp)$' | sort; }
include() { grep -nHE "^ *#include [<\"]($1)" /dev/null $2; }

core=$(folder core)
layers=$(folder layers)
detection=$(folder detection)
tutorials=$(folder tutorials)
tests=$(folder tests)

# Includes point one way: core <- layers <- detection <- tutorials.
include '(layers|detection|tutorials|tests)/' "$core" | rule 'core includes nothing above it'
include '(detection|tutorials|tests)/' "$layers" | rule 'layers includes core only'
include '(tutorials|tests)/' "$detection" | rule 'detection includes core and layers only'
include 'tests/' "$tutorials" | rule 'tutorials include the library only'
grep -nHE '^ *#include "' /dev/null $core $layers $detection $tutorials $tests |
  grep -vE '#include "((core|layers|detection|tutorials|tests)/|[a-z_]+\.inc")' |
  rule 'includes are written from the root'

# One file knows each of these.
include 'cblas.h|lapack' "$core $layers $detection $tutorials $tests" |
  grep -vE '^core/(blas|svd)\.cpp:|^tests/tools/' | rule 'cblas.h belongs to core/blas.cpp'
include 'stb' "$core $layers $detection $tutorials $tests" | grep -v '^core/image[a-z_]*\.cpp:' |
  rule 'stb belongs to core/image.cpp'
include 'CLI' "$core $layers $detection $tutorials $tests" | grep -v '^core/program\.cpp:' |
  rule 'CLI11 belongs to core/program.cpp'
include 'catch2' "$core $layers $detection $tutorials $tests" | grep -v '^tests/catch\.h:' |
  rule 'tests include tests/catch.h instead of Catch2'
include 'random>|omp.h>|[a-z]*mmintrin.h>|immintrin.h>' "$core $layers $detection $tutorials $tests" |
  grep -v '^core/parallel\.cpp:' | rule 'no <random>, no OpenMP, no intrinsics'

grep -nHE '^ *using namespace' /dev/null $(echo "$core $layers $detection" | tr ' ' '\n' | grep '\.h$') |
  rule 'no using namespace in a header'
grep -nHE '^ *# *define' /dev/null $core $layers $detection $tutorials |
  grep -vE '#define (STB|STBI|CATCH)' | rule 'no macros'
grep -nHEw 'TODO|FIXME|XXX|HACK' /dev/null $core $layers $detection $tutorials $tests |
  grep -v '^tests/tools/lint.sh' | rule 'finish it, or write down elsewhere that it is not'
for file in $core $layers $detection; do
  case $file in *.h) grep -q '^#pragma once' $file || echo "$file:1: no #pragma once" ;; esac
done | rule 'headers start with #pragma once'

# Every source file of the library has its test.
for file in $core $layers $detection; do
  case $file in */models/* | *.h) continue ;; esac
  name=$(basename $file .cpp)
  # A further source of one header (image_write.cpp of image.h) is tested with it; a test of several
  # small files names them in a comment or includes their headers.
  family=${name%%_*}
  [ -f tests/test_$name.cpp ] || [ -f tests/test_$family.cpp ] ||
    grep -qF "${file%.cpp}." tests/test_*.cpp || echo "$file: no tests/test_$name.cpp"
done | rule 'a source file has a test'

echo $core $layers $detection $tutorials $tests | tr ' ' '\n' | grep -v '^tests/golden/' |
  xargs wc -l | awk '$2 != "total" && $1 > 450 { print $2 ": " $1 " lines" }' |
  rule 'past 450 lines there is a second job in a file'

LC_ALL=C find . \( -path ./.git -o -path ./build -o -path ./out \) -prune -o \
  -name '*[!A-Za-z0-9._-]*' -print | grep -v '^\.$' |
  rule 'names of files are letters, digits, ".", "_" and "-": every system takes them'

[ -s "$breaches" ] && exit 1
echo 'lint: ok'
