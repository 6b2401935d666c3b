#!/bin/sh
# run.sh - runs unit tests and end-to-end scripts, and counts
#
#   OUT=build/plain [SAN=address,undefined] run.sh PROGRAM… SCRIPT.sh…
#
# A unit test is a Criterion program. A script, for sh, finds the programs in
# BIN, has a TMPDIR, HOME and XDG_RUNTIME_DIR of its own, no key or setting of
# the user's, SCRIPT_SECONDS (300) of time, and must end all that it started. A
# script counts as one test. Output is shown where something failed. What a
# sanitizer finds, in any process, fails the test: Criterion does not notice a
# leak found at the end of a test's process.
#
# At the end, each test that failed is named once more, with a few lines of why.
# The last line is `N passed, M failed`; the exit code is 0 if M is.
# SPDX-License-Identifier: MIT
set -u

: "${OUT:?the directory of the build}"
SAN=${SAN-}
CC=${CC:-cc}
SCRIPT_SECONDS=${SCRIPT_SECONDS:-300}
UNIT_SECONDS=300
WORDS_MAX=8
BIN=$(cd "$OUT/bin" 2>/dev/null && pwd)
log=$OUT/log
export CC OUT SAN BIN SCRIPT_SECONDS UNIT_SECONDS

sanitize() { # PREFIX of the reports
    common="log_path=$1:halt_on_error=1"
    ASAN_OPTIONS=$common:detect_leaks=1:detect_stack_use_after_return=1
    UBSAN_OPTIONS=$common:print_stacktrace=1
    TSAN_OPTIONS=$common:second_deadlock_stack=1
    export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
}

# Says `NAME PASSED FAILED NOTE`; what is to be shown is in the log.
report() { # NAME PASSED FAILED NOTE
    printf '%s %d %d %s\n' "$1" "$2" "$3" "$4" >"$log/$1.count"
    printf '%-28s %s\n' "$1" "$4"
    [ "$3" -eq 0 ] || {
        tail -n 200 "$log/$1.log"
        cat "$log/$1".san.* 2>/dev/null
    }
}

# What a failed test said: Criterion marks it; after a script's words come logs.
words() { # NAME
    {
        grep '^\[FAIL\]' "$log/$1.log" ||
            sed '/^--- the end of /,$d' "$log/$1.log" | tail -n "$WORDS_MAX"
        cat "$log/$1.log" "$log/$1".san.* 2>/dev/null | grep '^SUMMARY: '
    } | head -n "$WORDS_MAX"
}

run_unit() { # PROGRAM
    name=${1##*/}
    sanitize "$PWD/$log/$name.san"
    timeout -k 10 "$UNIT_SECONDS" "$1" -j1 --timeout 120 \
        >"$log/$name.log" 2>&1 </dev/null
    code=$?
    line=$(grep '^\[====\] Synthesis: ' "$log/$name.log" | tail -n 1)
    passed=$(printf %s "$line" | sed -n 's/.*Passing: \([0-9]*\).*/\1/p')
    failed=$(printf %s "$line" | sed -n 's/.*Failing: \([0-9]*\).*/\1/p')
    : "${passed:=0}" "${failed:=0}"
    if [ -z "$line" ] || [ $((passed + failed)) -eq 0 ]; then
        line="no test was counted (exit code $code)"
        failed=1
    elif [ "$failed" -eq 0 ] && [ $code -ne 0 ]; then
        line="$line (exit code $code)"
        failed=1
    fi
    for found in "$log/$name".san.*; do
        [ -e "$found" ] || continue
        line="$line (a sanitizer found something)"
        [ "$failed" -gt 0 ] || failed=1
        break
    done
    report "$name" "$passed" "$failed" "$line"
}

# The processes that have this TMPDIR in their environment. A worker, which
# guards its keys, shows root alone that; but it names a socket in DIR.
remaining() { # DIR
    {
        grep -lszxF "TMPDIR=$1/tmp" /proc/[0-9]*/environ
        printf '%s/' "$1" | grep -lsF -f - /proc/[0-9]*/cmdline
    } | cut -d / -f 3 | sort -u
}

# Children of an ended parent may need a moment to notice.
ends() { # DIR
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -n "$(remaining "$1")" ] || return 0
        sleep 0.5
    done
    return 1
}

run_script() { # SCRIPT
    name=${1##*/}
    name=${name%.sh}
    dir=$(mktemp -d /tmp/sheaf-check.XXXXXX) || exit 1
    mkdir -m 700 "$dir/tmp" "$dir/home" "$dir/run"
    from=$(date +%s)
    (
        for var in $(env | sed -n 's/^\(SHEAF_[A-Z_]*\|OPENAI_[A-Z_]*\|XDG_[A-Z_]*\|[A-Za-z]*_proxy\|[A-Z]*_PROXY\)=.*/\1/p'); do
            unset "$var"
        done
        unset MAKEFLAGS MAKELEVEL MFLAGS
        TMPDIR=$dir/tmp HOME=$dir/home XDG_RUNTIME_DIR=$dir/run
        export TMPDIR HOME XDG_RUNTIME_DIR
        sanitize "$dir/san"
        exec timeout -k 10 "$SCRIPT_SECONDS" sh "$1"
    ) >"$log/$name.log" 2>&1 </dev/null
    code=$?
    note=
    [ $code -eq 0 ] || note=" (exit code $code)"
    [ $code -ne 124 ] || note=" (longer than $SCRIPT_SECONDS s)"
    if ! ends "$dir"; then
        note="$note (left processes behind)"
        for process in $(remaining "$dir"); do
            ps -o pid=,args= -p "$process" >>"$log/$name.log"
            kill -KILL "$process"
        done
    fi
    for found in "$dir"/san.*; do
        [ -e "$found" ] || continue
        note="$note (a sanitizer found something)"
        cat "$dir"/san.* >>"$log/$name.log"
        break
    done
    chmod -R u+rwX "$dir"
    rm -rf "$dir"
    took="$(($(date +%s) - from)) s"
    if [ -z "$note" ]; then
        report "$name" 1 0 "passed in $took"
    else
        report "$name" 0 1 "FAILED in $took$note"
    fi
}

case ${1-} in
--unit)
    run_unit "$2"
    exit
    ;;
--script)
    run_script "$2"
    exit
    ;;
esac

each() { # KIND AT_A_TIME
    xargs -0 -r -n 1 -P "$2" sh "$0" "$1"
}

# A script waits for about half of its time; a unit test computes.
scripts_at_a_time=$(($(nproc) + 1))
rm -rf "$log"
mkdir -p "$log"
for test in "$@"; do
    case $test in *.sh) ;; *) printf '%s\0' "$test" ;; esac
done | each --unit "$(nproc)"
for test in "$@"; do
    case $test in *.sh) printf '%s\0' "$test" ;; esac
done | each --script "$scripts_at_a_time"
for count in "$log"/*.count; do
    [ -e "$count" ] || continue
    read -r name _ failed note <"$count"
    [ "$failed" -eq 0 ] || {
        printf '%s: %s\n' "$name" "$note"
        words "$name"
    }
done
cat "$log"/*.count 2>/dev/null | awk -v files=$# '
    { passed += $2; failed += $3 }
    END {
        if (NR < files || files == 0)
            failed += files ? files - NR : 1
        printf "%d passed, %d failed\n", passed, failed
        exit failed > 0
    }'
