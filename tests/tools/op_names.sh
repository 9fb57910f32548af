#!/bin/sh
# Prints the names of all differentiable ops, "name", one a line: the first argument of each call
# of from_op in the files named.
cat "$@" /dev/null |
  sed 's|//.*||' | tr '\n' ' ' |
  grep -o 'from_op( *"[^"]*"' | sed 's/.*\("[^"]*"\)/\1,/' | LC_ALL=C sort -u
