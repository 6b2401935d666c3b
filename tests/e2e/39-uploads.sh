#!/bin/sh
# 39-uploads.sh - uploads over HTTP that are broken off, too large, or many
#
# The cases are uploads.py's. Here are those in which a broker is killed, or the
# gateway told to stop, while one is under way.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

uploads() { # CASE…
    for case in "$@"; do
        "$python" "$here/uploads.py" "$case" "$api" "$GATEWAY_PID" \
            "$BROKER_PID" || fail "the case $case"
    done
}

mkdir spool
"$BIN/sheaf-http" --spool "$work/none" 2>refused.err
equal $? 2 "exit code with a spool that is not there"
contains "$(cat refused.err)" "$work/none: No such file" "what is wrong with it"

start_upstream
start_broker --set file_bytes_max=8388608
start_gateway gateway --spool "$work/spool"
uploads vanish late large keyed crowd
curl -sf "$watch/metrics" | grep -qx 'sheaf_http_spool_bytes 0' ||
    fail "the metrics tell of a spool that is empty again"
say "uploads that are broken off leave nothing, and others are whole"

uploads outlive &
outlive_pid=$!
until_true 10 test -e sent
kill -KILL "$BROKER_PID"
wait "$BROKER_PID" 2>/dev/null
start_broker --set file_bytes_max=8388608
wait $outlive_pid || fail "an upload outlives its broker"
say "an upload outlives its broker"

uploads drain
wait "$GATEWAY_PID"
equal $? 0 "exit code of sheaf-http that was told to stop"
start_gateway gateway --spool "$work/spool"
uploads end
wait "$GATEWAY_PID"
equal $? 143 "exit code of sheaf-http that was told to stop twice"
equal "$(ls spool)" "" "what is left in the spool"
say "a gateway that stops lets an upload end, unless it is told twice"
stop_broker
stop_upstream
