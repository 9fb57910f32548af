#!/bin/sh
# Prints the names of all differentiable ops, "name", one a line: the first argument of each call
# of from_op in the files named, and of the functions that pass their `const char* op` on to it.
text=$(cat "$@" /dev/null | sed 's|//.*||' | tr '\n' ' ')
helpers=$(printf '%s' "$text" | grep -o 'Tensor [a-z0-9_]*( *const char\* op' |
  sed 's/Tensor \([a-z0-9_]*\).*/|\1/' | LC_ALL=C sort -u | tr -d '\n')
{
  printf '%s' "$text" | grep -oE "[^a-z0-9_](from_op$helpers)\( *\"[^\"]*\""
  grep -l 'from_op(' "$@" /dev/null | xargs grep -ho 'const char\* op = "[^"]*"' /dev/null
} | sed 's/.*\("[^"]*"\)/\1,/' | LC_ALL=C sort -u
