#!/bin/sh
# 36-stages.sh - a call that lasts is seen to last: by run, wait, status and log
#
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

echo "match=patience until=$work/go" >script
start_upstream --script script
cat >>sheaf.conf <<END
[sheaf]
t1_ms = 50
t2_ms = 100
t3_ms = 150
t4_ms = 200
END
echo '{"id":"a","text":"patience"}' >drafts.jsonl

# ---- run ----

sheaf run -C mine --config sheaf.conf --progress always -o results.jsonl \
    drafts.jsonl 2>run.err &
runner=$!
until_true 20 grep -q 'degraded 1$' run.err
touch go
wait $runner
equal $? 0 'exit code of the run'
contains "$(cat run.err)" ': 1 ok' 'the end of the run'

# ---- a broker that stays ----

rm go
start_broker
batch=$(sheaf submit drafts.jsonl) || fail 'submit'
sheaf wait "$batch" --progress always >wait.out 2>wait.err &
waiter=$!
until_true 20 grep -q 'degraded 1$' wait.err
slow=$(sheaf status "$batch" --json | grep -o '"slow":{[^}]*}')
contains "$(sheaf status "$batch")" '1 degraded' 'the status for people'
equal "$slow" '"slow":{"stage":4,"calls":[0,0,0,1]}' 'the status'
for stage in trying 'still trying' slow degraded; do
    grep -q "event=call_slow .* stage=\"$stage\"" broker.err ||
        fail "no event of the stage: $stage"
done
touch go
wait $waiter
equal $? 0 'exit code of the wait'
sheaf stats | grep -q '^calls_above_t4  *1$' || fail 'the call is not counted'
stop_broker
stop_upstream
