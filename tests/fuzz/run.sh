#!/bin/sh
# run.sh BUILD SECONDS TARGET...: fuzzes each target for so long. What is new in coverage stays in
# BUILD/corpus, what failed in BUILD/finds; status 1 if anything did.
build=$1 seconds=$2
shift 2
here=$(dirname "$0")
mkdir -p "$build/finds"
status=0
for target; do
  mkdir -p "$build/corpus/$target"
  # The whole process, what AddressSanitizer keeps of it included, has 256 MB. fuzz.cpp looks after
  # the second that an input has.
  case $target in jpeg | png) length=8192 ;; *) length=4096 ;; esac
  if ASAN_OPTIONS=quarantine_size_mb=16:allocator_may_return_null=0 nice -n 15 "$build/bin/fuzz" --target=$target \
    -max_total_time="$seconds" -timeout=0 -rss_limit_mb=256 -malloc_limit_mb=256 -max_len=$length \
    -artifact_prefix="$build/finds/$target-" -print_final_stats=1 -verbosity=0 \
    $([ -f "$here/corpus/$target.dict" ] && echo "-dict=$here/corpus/$target.dict") \
    "$build/corpus/$target" "$here/corpus/$target" >"$build/$target.log" 2>&1; then
    result=ok
  else
    result="FOUND SOMETHING: $build/$target.log"
    status=1
  fi
  runs=$(sed -n 's/stat::number_of_executed_units: *//p' "$build/$target.log")
  peak=$(sed -n 's/stat::peak_rss_mb: *//p' "$build/$target.log")
  slowest=$(sed -n 's/stat::slowest_unit_time_sec: *//p' "$build/$target.log")
  echo "$target: ${runs:-0} runs, peak ${peak:-?} MB, slowest ${slowest:-?} s: $result"
done
exit $status
