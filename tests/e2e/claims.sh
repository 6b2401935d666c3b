# claims.sh - what scripts share that go on after a claim which does not hold
#
# Sourced by them; the others share lib.sh, and end with the first one. A script
# has a directory of its own, $dir, and says in leave() what becomes of the
# processes that it has started. It ends with: exit $failed
# SPDX-License-Identifier: MIT
# shellcheck shell=sh

: "${BIN:?the directory of the built programs}"
PATH=$BIN:$PATH
export PATH
dir=$(mktemp -d) || exit 1
failed=0

clean_up() {
    leave
    wait
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check() { # CLAIM GOT WANT
    [ "$2" = "$3" ] && return
    printf 'FAIL %s\n  got:  %s\n  want: %s\n' "$1" "$2" "$3" >&2
    failed=1
}

# Runs a command until it succeeds, for at most 30 seconds; the script fails if
# it does not.
await() { # CLAIM COMMAND…
    claim=$1
    shift
    for _ in $(seq 1500); do
        "$@" && return
        sleep 0.02
    done
    check "$claim" "not within 30 s" "$*"
    tail -n 40 "$dir"/*log "$dir"/*err >&2
    exit 1
}

has_port() {
    [ -s "$dir/port" ]
}
