# lib.sh - what the end-to-end scripts share; sourced by them
#
# A script has a directory of its own, $work, below TMPDIR. Everything it
# starts has that as its TMPDIR, which is how what is left at the end is found.
# Nothing sleeps for a time: until_true waits for a condition, and fails after a
# deadline. Failures say what came (got) and what was expected (want).
# SPDX-License-Identifier: MIT
# shellcheck shell=sh

: "${BIN:?the directory of the built programs}"
name=$(basename "$0" .sh)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/e.XXXXXX") || exit 1
# A socket's path has at most 107 bytes, so this one is not below $work.
XDG_RUNTIME_DIR=$(mktemp -d "${TMPDIR:-/tmp}/r.XXXXXX") || exit 1
TMPDIR=$work/tmp
HOME=$work/home
PYTHONDONTWRITEBYTECODE=1
export TMPDIR HOME XDG_RUNTIME_DIR PYTHONDONTWRITEBYTECODE
# The examples find the programs as a user's shell would.
examples=${here%/tests/e2e}/examples
PATH=$BIN:$PATH
export PATH
unset SHEAF_BROKER SHEAF_WORKER_BROKER SHEAF_CONFIG SHEAF_STORE \
    SHEAF_USE_OPENAI OPENAI_API_KEY OPENAI_BASE_URL XDG_STATE_HOME
mkdir "$TMPDIR" "$HOME"
cd "$work" || exit 1

UPSTREAM_PID=
BROKER_PID=
# Debian's python is there wherever the tests are; others are not asked for.
python=/usr/bin/python3

# The processes that were started below $work and live, but for these three.
ours() {
    TMPDIR=/ grep -lszx "TMPDIR=$work/tmp" /proc/[0-9]*/environ |
        TMPDIR=/ cut -d / -f 3 | TMPDIR=/ grep -vx "$$"
}

nothing_is_left() {
    [ -z "$(ours)" ]
}

clean_up() {
    code=$?
    trap - EXIT
    [ $code -eq 0 ] || show_logs
    # Sub-shells of this script are among them until their command has ended.
    for _ in 1 2 3 4 5; do
        left=$(ours)
        [ -n "$left" ] || break
        for process in $left; do
            kill -KILL "$process" 2>/dev/null
        done
        sleep 0.05
    done
    cd /
    chmod -R u+rwX "$work" "$XDG_RUNTIME_DIR"
    rm -rf "$work" "$XDG_RUNTIME_DIR"
    exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

show_logs() {
    for log in "$work"/*.err; do
        [ -s "$log" ] || continue
        echo "--- the end of $(basename "$log")"
        tail -n "${LOG_LINES:-15}" "$log"
    done
}

fail() { # MESSAGE
    echo "$name: FAILED: $1" >&2
    exit 1
}

say() { # MESSAGE
    echo "$name: $1"
}

equal() { # GOT WANT WHAT
    [ "$1" = "$2" ] || fail "$3
  got  $1
  want $2"
}

at_most() { # GOT LIMIT WHAT
    [ "$1" -le "$2" ] || fail "$3: got $1, want at most $2"
}

contains() { # TEXT PART WHAT
    case $1 in
    *"$2"*) ;;
    *) fail "$3
  got       $1
  want in it $2" ;;
    esac
}

until_true() { # SECONDS COMMAND…
    end=$(($(now_ms) + $1 * 1000))
    waited=$1
    shift
    until "$@" 2>/dev/null; do
        [ "$(now_ms)" -lt "$end" ] || fail "not within $waited s: $*"
        sleep 0.02
    done
}

# Milliseconds of the monotonic clock, as in the upstream's log.
now_ms() {
    read -r up _ </proc/uptime
    # A leading 1, as 08 would be no number.
    echo $((${up%.*} * 1000 + 1${up#*.}0 - 1000))
}

is_gone() { # PID
    ! kill -0 "$1"
}

# ---- the upstream ----

start_upstream() { # OPTION… of the test upstream; sets URL
    rm -f port
    "$BIN/upstream" --port-file port --log upstream.log "$@" \
        2>>upstream.err &
    UPSTREAM_PID=$!
    until_true 10 test -s port
    URL=http://127.0.0.1:$(cat port)/v1
    configure "$URL"
}

stop_upstream() {
    kill "$UPSTREAM_PID"
    wait "$UPSTREAM_PID"
    equal $? 0 "exit code of the upstream that was told to stop"
    UPSTREAM_PID=
}

configure() { # URL
    cat >sheaf.conf <<END
[upstream "test"]
base_url = $1
model = test-model
END
}

# Forgets the calls that were made so far.
forget_calls() {
    : >upstream.log
}

# A figure of the log: calls, distinct, in_flight_max.
figure() { # NAME
    "$python" "$here/calls.py" upstream.log "$1"
}

# ---- the broker ----

# Starts sheafd over the store $store with $broker_options, waits until it
# answers.
start_broker() { # OPTION…
    "$BIN/sheafd" --store "${store:-store}" --config sheaf.conf "$@" \
        2>>broker.err &
    BROKER_PID=$!
    until_true 20 answers
}

# False until the broker answers; fails if it has ended.
answers() {
    kill -0 "$BROKER_PID" || fail "sheafd has ended"
    sheaf stats --broker-timeout 1 >/dev/null
}

stop_broker() {
    kill -TERM "$BROKER_PID"
    wait "$BROKER_PID"
    equal $? 0 "exit code of sheafd that was told to stop"
    BROKER_PID=
}

sheaf() { # ARGUMENT…
    "$BIN/sheaf" "$@"
}

# Runs a command of the command line; its exit code must be as given. Its
# output is in `out`, its errors in `err`.
run_sheaf() { # WANTED_CODE ARGUMENT…
    wanted=$1
    shift
    "$BIN/sheaf" "$@" >out 2>err
    got=$?
    [ $got -eq "$wanted" ] || {
        head -c 2000 err >&2
        fail "exit code of: sheaf $*
  got  $got
  want $wanted"
    }
}

# ---- the gateway ----

# Starts sheaf-http and waits until it is ready; its words are in NAME.out and
# NAME.err.
start_gateway() { # NAME OPTION…; sets api and watch, and GATEWAY_PID
    gateway=$1
    shift
    rm -f "$gateway.out"
    "$BIN/sheaf-http" --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 "$@" \
        >"$gateway.out" 2>>"$gateway.err" &
    GATEWAY_PID=$!
    until_true 10 grep -qs '^metrics-listen ' "$gateway.out"
    api=$(sed -n 's/^listen //p' "$gateway.out")
    watch=$(sed -n 's/^metrics-listen //p' "$gateway.out")
    until_true 10 curl -sf -o ready "$watch/readyz"
}

stop_gateway() { # PID
    kill -TERM "$1"
    wait "$1"
    equal $? 0 "exit code of sheaf-http that was told to stop"
}
