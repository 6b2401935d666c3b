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

# Shows a command, and runs it with the built programs.
show() { # COMMAND…
    printf '\n$ sheaf'
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_./=,-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    "$BIN/sheaf" "$@"
}

# The value of a member of a result line, as it stands there.
member() { # NAME LINE
    printf '%s\n' "$2" | sed 's/.*"'"$1"'":"\(\([^"\\]\|\\.\)*\)".*/\1/' |
        sed 's/\\n/ /g; s/\\t/ /g; s/\\"/"/g; s/\\\\/\\/g'
}

set -- /usr/share/common-licenses/*
[ -f "$1" ] || fail "no documents in /usr/share/common-licenses"
echo "$# documents, $(cat "$@" | wc -c) bytes. The first run is the work; the"
echo "second one finds everything done, and calls nobody."

run() { # OUTPUT FILE…
    output=$1
    shift
    show -C "$dir/store" run --goal 'Summarize this licence' \
        --constraint 'at most 3 sentences' --progress never -o "$output" "$@" ||
        fail "sheaf run ended with $?"
}
run "$dir/results.jsonl" "$@"
run "$dir/again.jsonl" "$@"

[ "$(wc -l <"$dir/results.jsonl")" -eq $# ] ||
    fail "$(wc -l <"$dir/results.jsonl") results for $# documents"
[ "$(grep -c '"status":"ok","text":"' "$dir/results.jsonl")" -eq $# ] ||
    fail "not all documents have an answer"
cmp -s "$dir/results.jsonl" "$dir/again.jsonl" ||
    fail "the second run has other results"

printf '\nSome of the results:\n'
for name in Apache-2.0 BSD GPL-3; do
    line=$(grep -F "common-licenses/$name\"" "$dir/results.jsonl") || continue
    printf '\n%s\n' "$name"
    member text "$line" | fold -s -w 74 | sed 's/^/    /'
done
printf '\n%d results, %d of them by a call; %s\n' "$#" \
    "$(grep -c '"cache":"none"' "$dir/results.jsonl")" \
    'the others are copies of a document that was sent already.'
