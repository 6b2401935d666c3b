#!/bin/sh
# 38-alerts.sh - alerts of real troubles: they fire, are told, and are over
#
# Calls that fail, a worker that is killed, an upstream that is gone, and work
# that nobody takes. Each has `sheaf alerts` exit with 1, stands in the log, and
# runs the command; when it is over, the same is told and the exit code is 0.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

cat >page <<'END'
#!/bin/sh
echo "$1 $SHEAF_ALERT_NAME $SHEAF_ALERT_STATE ${SHEAF_ALERT_UPSTREAM:--}" >>paged
END
chmod +x page
: >paged

settings() {
    printf '%s\n' '[sheaf]' 'alert_window_ms = 2000' 'alert_samples_min = 5' \
        'alert_resolve_ms = 300' 'alert_hit_percent = 0' \
        'alert_error_for_ms = 200' 'alert_suspended_for_ms = 200' \
        'alert_stuck_for_ms = 1000' "alert_command = $work/page loudly" \
        'breaker_failures = 3' 'breaker_pause_ms = 200' \
        'breaker_pause_max_ms = 400' 'group_window_ms = 0' \
        'backoff_base_ms = 50' 'backoff_cap_ms = 200' >>sheaf.conf
}

fires() { # ALERT
    sheaf alerts >alerts.txt
    [ $? -eq 1 ] && grep -Eq "^$1 .* (firing|easing) " alerts.txt
}
all_is_well() {
    sheaf alerts >alerts.txt
}
is_paged() { # LINE
    grep -qx "loudly $1" paged
}
# An alert fires and is over, as it is seen from everywhere.
expect_alert() { # ALERT UPSTREAM
    until_true 20 fires "$1"
    until_true 10 is_paged "$1 firing $2"
    grep -q "event=alert_fired alert=$1 " broker.err ||
        fail "$1 is not in the log"
}
expect_end() { # ALERT UPSTREAM
    until_true 20 all_is_well
    until_true 10 is_paged "$1 resolved $2"
    grep -q "event=alert_resolved alert=$1 " broker.err ||
        fail "the end of $1 is not in the log"
}
submit() { # KEY COUNT
    "$python" "$here/drafts.py" "$2" | sed "s/\"text\":\"/&$1 /" >drafts.jsonl
    run_sheaf 0 submit --goal Summarize --key "$1" drafts.jsonl
}

# Calls that fail.
echo 'times=12 status=400' >script
start_upstream --script script
test_port=$(cat port)
settings
start_broker
run_sheaf 0 alerts
contains "$(cat out)" "too little to tell: 0 of" "alerts of a new broker"
run_sheaf 0 status
contains "$(cat out)" "alerts      none" "the overview"
submit fail 12
expect_alert error_rate test
run_sheaf 0 status
contains "$(cat out)" "alerts      1: see 'sheaf alerts'" "the overview"
run_sheaf 1 alerts --json
contains "$(cat out)" '"firing":1' "as JSON"
expect_end error_rate test
equal "$(cat paged)" "loudly error_rate firing test
loudly error_rate resolved test" "runs of the command"
say "calls that fail"

# A worker that is killed. The broker starts another.
worker=$(sed -n 's/.*event=worker_started pid=\([0-9]*\).*/\1/p' broker.err |
    tail -n 1)
kill -KILL "$worker"
expect_alert worker_lost -
expect_end worker_lost -
say "a worker that is killed"

# An upstream that is gone, and comes back.
stop_upstream
submit gone 12
expect_alert upstream_suspended test
start_upstream --port "$test_port"
expect_end upstream_suspended test
stop_broker
say "an upstream that is gone"

# Work that nobody takes, as there is no worker; a pause explains it.
: >paged
store=idle
settings
start_broker --workers 0
submit idle 3
batch=$(cat out)
expect_alert queue_stuck -
run_sheaf 0 pause "$batch"
expect_end queue_stuck -
run_sheaf 0 resume "$batch"
expect_alert queue_stuck -
"$BIN/sheaf-worker" --config sheaf.conf --name late 2>worker.err &
worker=$!
run_sheaf 0 wait --timeout 20 "$batch"
expect_end queue_stuck -
kill "$worker"
wait "$worker"
stop_broker
stop_upstream
until_true 10 nothing_is_left
say "work that nobody takes"
