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
    mkdir -p "build/fuzz/corpus/$name" build/fuzz/found
    UBSAN_OPTIONS=print_stacktrace=1 "build/fuzz/bin/$2" \
        -max_total_time="$1" -timeout=20 -rss_limit_mb=2048 \
        -artifact_prefix="build/fuzz/found/$name-" \
        "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" \
        >"build/fuzz/$2.log" 2>&1 </dev/null || {
        tail -n 100 "build/fuzz/$2.log"
        echo "$2: FAILED; the input is in build/fuzz/found/"
        return 1
    }
    echo "$2: $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' \
        "build/fuzz/$2.log") inputs, nothing found"
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
