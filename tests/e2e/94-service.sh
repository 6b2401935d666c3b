#!/bin/sh
# 94-service.sh - examples/sheafd.service fits the broker
#
# BIN is the directory of the built programs. What systemd would start is
# started, with what it would forbid counted where that can be seen from here.
# SPDX-License-Identifier: MIT
set -u

. "$(dirname "$0")/claims.sh"

SAN=${SAN-}
export SHEAF_USE_OPENAI=false
unit=$dir/sheafd.service
pid=

leave() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
}

setting() { # NAME
    sed -n "s/^$1=//p" "$unit"
}

# The system calls of a set, with those of the sets that it names.
calls_of() { # @SET
    systemd-analyze syscall-filter "$1" | sed 's/^ *//; /^#/d; 1d' |
        while read -r word; do
            case $word in
            @*) calls_of "$word" ;;
            *) echo "$word" ;;
            esac
        done
}

# The program that the unit starts is below BIN, not yet where it is installed.
sed "s|/usr/local/bin|$BIN|" examples/sheafd.service >"$unit"
command=$(setting ExecStart | sed "s|%S|$dir|")

test_unit() {
    check "systemd finds nothing wrong" \
        "$(systemd-analyze verify --man=no "$unit" 2>&1)" ""
    setting SystemCallFilter | while read -r set; do
        case $set in @*) calls_of "$set" ;; esac
    done | sort -u >"$dir/allowed"
    setting SystemCallFilter | while read -r set; do
        case $set in ~*) calls_of "${set#?}" ;; esac
    done | sort -u | comm -23 "$dir/allowed" - >"$dir/left"
}

# Does some work under strace; the names of the system calls that were made.
test_work() {
    # shellcheck disable=SC2086 # systemd splits it too
    ${1-} $command 2>"$dir/log" &
    pid=$!
    echo '{"id":"a","text":"It works. It does."}' >"$dir/drafts.jsonl"
    sheaf submit --wait --goal Summarize "$dir/drafts.jsonl" >"$dir/batch" \
        2>>"$dir/log"
    check "what the unit starts is a broker that works" $? 0
    kill "$(sed -n 's/^pid //p' "$dir/sheaf/lock")"
    wait "$pid"
    check "SIGTERM ends it well" $? 0
    pid=
}

test_calls() {
    test_work "strace -f -o $dir/trace"
    sed -n 's/^[0-9]* *\([a-z][a-z0-9_]*\)(.*/\1/p' "$dir/trace" | sort -u \
        >"$dir/made"
    check "the system calls of a broker were seen" \
        "$(grep -cE '^(flock|fdatasync|sendto|execve|mmap)$' "$dir/made")" 5
    check "the unit allows the system calls that are made" \
        "$(comm -13 "$dir/left" "$dir/made" | tr '\n' ' ')" ""
}

# The exit codes after which another start does not help.
test_exit_codes() {
    # shellcheck disable=SC2086
    sheafd --config "$dir/none" --store "$dir/other" 2>>"$dir/log"
    code_usage=$?
    mkdir -m 700 "$dir/foreign"
    head -c 100000 /dev/zero >"$dir/foreign/data.mdb"
    sheafd --store "$dir/foreign" 2>>"$dir/log"
    code_damaged=$?
    $command 2>>"$dir/log" &
    pid=$!
    sheaf list >/dev/null 2>>"$dir/log" # it is there
    sheafd --store "$dir/sheaf" 2>>"$dir/log"
    code_in_use=$?
    kill "$pid"
    wait "$pid"
    pid=
    check "no restart after what it cannot mend" \
        "$(setting RestartPreventExitStatus)" \
        "$code_usage $code_damaged $code_in_use"
}

if command -v systemd-analyze >/dev/null; then
    test_unit
fi
# Under a sanitizer there are more system calls, and strace cannot be used.
if [ -z "$SAN" ] && [ -s "$dir/left" ] && command -v strace >/dev/null; then
    test_calls
else
    test_work
fi
test_exit_codes
[ $failed -eq 0 ] || tail -n 30 "$dir/log" >&2
exit $failed
