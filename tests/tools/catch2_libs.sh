#!/bin/sh
# Prints how to link Catch2: version 3 is two libraries, Debian's version 2 is one.
#   catch2_libs.sh 'ccache g++'
links() { echo 'int main() {}' | $compiler -x c++ - -o /dev/null "$@" 2>/dev/null; }
compiler=${1:-g++}
if links -lCatch2Main -lCatch2; then
  echo '-lCatch2Main -lCatch2'
elif links -lCatch2WithMain; then
  echo '-lCatch2WithMain'
else
  echo 'boxgrad: no library of Catch2 found (make deps installs it)' >&2
  exit 1
fi
