#!/bin/sh
# 37-metrics.sh - Prometheus reads what a broker tells, and the examples fit it
#
# promtool has nothing to say of the metrics; they count what the upstream has
# seen. The rules pass their tests, and neither they nor the dashboard ask for a
# metric that is not there.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

quietly() { # COMMAND…
    "$@" >said 2>&1 || {
        cat said >&2
        fail "exit code of: $*"
    }
}

metric() { # NAME [LABEL=VALUE]
    "$python" "$here/metrics.py" sum metrics "$@" || fail "no $*"
}

printf 'times=1 status=400\ntimes=1 status=500\n' >script
start_upstream --script script --latency-ms 20
printf '%s\n' 'price_input_usd = 1' 'price_output_usd = 2' '[sheaf]' \
    'backoff_base_ms = 1' 'group_window_ms = 0' >>sheaf.conf
start_broker
"$python" "$here/drafts.py" 50 --repeats 20 >drafts.jsonl
run_sheaf 1 submit --wait --goal Summarize drafts.jsonl
run_sheaf 0 submit --wait --goal Summarize --key again drafts.jsonl

run_sheaf 0 stats --prometheus
mv out metrics
promtool check metrics <metrics >said 2>&1 || fail "promtool: $(cat said)"
equal "$(cat said)" "" "what promtool says of the metrics"

calls=$(figure calls)
equal "$(metric sheaf_attempts_total upstream=test)" "$calls" "calls"
equal "$(metric sheaf_request_duration_seconds_count upstream=test)" \
    "$calls" "calls whose duration is known"
equal "$(metric sheaf_request_duration_seconds_bucket le=+Inf)" "$calls" \
    "calls in the last buckets"
equal "$(metric sheaf_attempts_total class=retryable)" 1 "calls that failed"
equal "$(metric sheaf_request_duration_seconds_count status=server_error)" 1 \
    "calls that failed, by status"
equal "$(metric sheaf_cache_lookups_total)" 100 "drafts"
equal "$(metric sheaf_results_total)" 100 "results"
equal "$(metric sheaf_workers state=online)" 1 "workers"
[ "$(metric sheaf_commit_duration_seconds_count)" -gt 0 ] ||
    fail "no commit was counted"
case $(metric sheaf_saved_usd_total) in
0) fail "nothing was saved" ;;
esac
say "$calls calls, $(grep -vc '^#' metrics) samples"

# The gateway has some of its own.
"$BIN/sheaf-http" --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 \
    >gateway.out 2>gateway.err &
gateway=$!
until_true 10 grep -q '^metrics-listen ' gateway.out
watch=$(sed -n 's/^metrics-listen //p' gateway.out)
until_true 10 curl -sf -o served "$watch/metrics"
promtool check metrics <served >said 2>&1 || fail "promtool: $(cat said)"
equal "$(cat said)" "" "what promtool says of the gateway's metrics"
cat served >>metrics
kill "$gateway"
wait "$gateway"

quietly promtool check rules "$examples/prometheus-rules.yml"
quietly promtool check config "$examples/prometheus.yml"
quietly promtool test rules "$examples/prometheus-rules-test.yml"
quietly "$python" "$here/metrics.py" names metrics \
    "$examples/grafana-dashboard.json" "$examples/prometheus-rules.yml" \
    "$examples/prometheus-rules-test.yml"
"$python" "$here/metrics.py" rules "$examples/grafana-dashboard.json" \
    >queries.json || fail "no query in the dashboard"
quietly promtool check rules queries.json
say "rules and dashboard fit"
