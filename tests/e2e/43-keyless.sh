#!/bin/sh
# 43-keyless.sh - what an upstream or a webhook is to be called with is missing
#
# The others go on. What is bound to it waits, none of it is lost, and it is told
# why; when the key is there, `upstreams resume` is all it takes. Of a webhook's
# secret that has come, a SIGHUP tells.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

start_upstream
cat >sheaf.conf <<END
[sheaf]
group_window_ms = 0
alert_suspended_for_ms = 1000
[upstream "test"]
base_url = $URL
model = test-model
[upstream "keyed"]
base_url = $URL
model = other-model
key_file = $work/key
[webhook "pager"]
url = http://127.0.0.1:9/
secret_file = $work/secret
END
echo keyed-secret-4711-0815 >key
chmod 644 key
"$python" "$here/drafts.py" 20 >drafts.jsonl

start_broker
until_true 20 grep -qF "event=key_unreadable upstream=keyed \
reason=\"key_file $work/key: others have access to it (mode 0644)" broker.err
run_sheaf 0 submit --wait --goal Say drafts.jsonl
equal "$(figure calls)" 20 "calls to the upstream beside it"
run_sheaf 0 webhooks
contains "$(cat err)" "webhook pager: no worker that is connected can post to it" \
    "what webhooks says"

run_sheaf 0 submit --goal Say --upstream keyed drafts.jsonl
batch=$(cat out)
is_stalled() {
    sheaf upstreams | grep -q '^keyed *stopped .*key_unreadable: key_file'
}
until_true 20 is_stalled
run_sheaf 1 wait "$batch"
contains "$(cat err)" "is stalled" "what wait says"
contains "$(sheaf why "$batch" --index 19)" \
    "only 'upstreams resume keyed' lets it be asked again" "what why says"
fires() {
    sheaf alerts | grep -q '^upstream_suspended *keyed *firing'
}
until_true 20 fires
run_sheaf 0 status --json "$batch"
contains "$(cat out)" '"done":0,' "drafts of it that have ended"
equal "$(figure calls)" 20 "calls without the key"
run_sheaf 0 submit --wait --goal Other drafts.jsonl
say "the others go on, what waits is whole"

# Still not readable: it waits on, and is not lost.
run_sheaf 0 upstreams resume keyed
until_true 20 is_stalled
chmod 600 key
run_sheaf 0 upstreams resume keyed
run_sheaf 0 wait --timeout 60 "$batch"
run_sheaf 0 status "$batch"
contains "$(cat out)" "20 of 20: 20 ok" "how they end"
contains "$(cat broker.err)" "event=key_changed upstream=keyed" \
    "that the key is there"
echo "whsec_$(head -c 32 /dev/urandom | base64)" >secret
chmod 600 secret
kill -HUP "$BROKER_PID"
can_post() {
    sheaf webhooks --json | grep -qF '"workers":1'
}
until_true 20 can_post
stop_broker
equal "$(grep -rlF keyed-secret . | sort | tr '\n' ' ')" "./key ./upstream.log " \
    "files that hold the key"
say "one command, and it went on"
