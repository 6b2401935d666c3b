#!/bin/sh
# run.sh - runs fuzzers over their corpora, two at a time
#
#   run.sh SECONDS FUZZER…
#
# New inputs go to build/fuzz/corpus/, what breaks a fuzzer to
# build/fuzz/found/; the corpus in the repository is only read.
# SPDX-License-Identifier: MIT
set -u

run_one() { # SECONDS FUZZER
    name=${2#fuzz_}
    set -- "$1" "$2" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name"
    mkdir -p "$3" build/fuzz/found
    [ -d "$4" ] || set -- "$1" "$2" "$3"
    seconds=$1 fuzzer=$2
    shift 2
    UBSAN_OPTIONS=print_stacktrace=1 "build/fuzz/bin/$fuzzer" \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -artifact_prefix="build/fuzz/found/$name-" "$@" \
        >"build/fuzz/$fuzzer.log" 2>&1 </dev/null || {
        tail -n 100 "build/fuzz/$fuzzer.log"
        echo "$fuzzer: FAILED; the input is in build/fuzz/found/"
        return 1
    }
    echo "$fuzzer: $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' \
        "build/fuzz/$fuzzer.log") inputs, nothing found"
}

if [ "$1" = --one ]; then
    run_one "$2" "$3"
    exit
fi
seconds=$1
shift
[ $# -gt 0 ] || {
    echo "no fuzzer" >&2
    exit 1
}
printf '%s\0' "$@" | xargs -0 -n 1 -P "$(nproc)" sh "$0" --one "$seconds"
