#!/bin/sh
# Runs tutorials with --quick and compares what they print with their READMEs.
#
#   tutorial_check.sh build/bin 01_tensors_and_autograd 02_...
#
# A README marks what is exact, on every machine and also with --quick, by the word "exact" behind
# the language of a fenced block:
#
#   ```text exact
#   IoU = 0.333333
#   ```
#
# Every line of such blocks must be among the printed lines, in the same order; other lines may
# stand between them. Spaces at both ends and empty lines do not count. The program must also end
# with status 0.
bin=$1
shift
failed=0
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
for name in "$@"; do
  started=$(date +%s)
  "$bin/$name" --quick --out "$folder/$name" >"$folder/stdout" 2>"$folder/stderr" </dev/null
  status=$?
  seconds=$(($(date +%s) - started))
  if [ $status -ne 0 ]; then
    echo "tutorial $name: failed with status $status"
    tail -n 5 "$folder/stdout" "$folder/stderr"
    failed=1
    continue
  fi
  awk '/^ *```/ { fence = !fence; exact = fence && / exact *$/; next } exact' \
    "tutorials/$name/README.md" >"$folder/exact"
  awk -v name="$name" -v seconds="$seconds" -v exact="$folder/exact" '
    function trim(s) { sub(/\r$/, "", s); gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
    BEGIN { found = n = 0; while ((getline line < exact) > 0) if (trim(line) != "") wanted[n++] = trim(line) }
    found < n && trim($0) == wanted[found] { ++found }
    END {
      if (found < n) {
        print "tutorial " name ": did not print, or not in this order: " wanted[found]
        exit 1
      }
      print "tutorial " name ": ok, " n + 0 " exact lines, " seconds " s"
    }' "$folder/stdout" || failed=1
done
exit $failed
