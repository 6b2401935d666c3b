#!/bin/sh
# demo.sh - the main job, on real documents: the licences of this machine
#
# Needs no model, no key and no network: the built-in sampler answers. BIN is
# the directory of the built programs.
# SPDX-License-Identifier: MIT
set -eu

: "${BIN:?the directory of the built programs}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
unset OPENAI_API_KEY OPENAI_BASE_URL SHEAF_BROKER SHEAF_STORE SHEAF_CONFIG
export SHEAF_USE_OPENAI=false
export XDG_RUNTIME_DIR="$dir/runtime"
mkdir -m 700 "$XDG_RUNTIME_DIR"

fail() { # MESSAGE
    echo "demo: $1" >&2
    exit 1
}

# The value of a member of a result line, as it stands there.
member() { # NAME LINE
    printf '%s\n' "$2" | sed 's/.*"'"$1"'":"\(\([^"\\]\|\\.\)*\)".*/\1/' |
        sed 's/\\n/ /g; s/\\t/ /g; s/\\"/"/g; s/\\\\/\\/g'
}

set -- /usr/share/common-licenses/*
[ -f "$1" ] || fail "no documents in /usr/share/common-licenses"

run() { # OUTPUT FILE…
    output=$1
    shift
    printf '$ sheaf -C store run --goal "Summarize this licence" \\\n'
    printf '      --constraint "at most 3 sentences" -o %s \\\n' "$output"
    printf '      /usr/share/common-licenses/*\n'
    "$BIN/sheaf" -C store run --goal 'Summarize this licence' \
        --constraint 'at most 3 sentences' -o "$output" --progress never \
        "$@" 2>log || {
        code=$?
        cat log >&2
        fail "sheaf run ended with $code"
    }
}

cd "$dir"
echo "$# documents, $(cat "$@" | wc -c) bytes, and the built-in sampler:"
run results.jsonl "$@"
[ "$(wc -l <results.jsonl)" -eq $# ] ||
    fail "$(wc -l <results.jsonl) results for $# documents"
[ "$(grep -c '"status":"ok","text":"' results.jsonl)" -eq $# ] ||
    fail "not every document has an answer"
calls=$(grep -c '"cache":"none"' results.jsonl)
echo "$# results, $calls of them by a call; the others are copies of those."
printf '\nThe same again finds all of it done, and calls nobody:\n'
run again.jsonl "$@"
cmp -s results.jsonl again.jsonl || fail "the second run has other results"

printf '\nSome of the results:\n'
for name in Apache-2.0 BSD GPL-3; do
    line=$(grep -F "common-licenses/$name\"" results.jsonl) || continue
    printf '\n%s\n' "$name"
    member text "$line" | fold -s -w 74 | sed 's/^/    /'
done
