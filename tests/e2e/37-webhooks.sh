#!/bin/sh
# 37-webhooks.sh - batches end, and receivers are told of it
#
# Every signature is verified by the npm package standardwebhooks, which is not
# ours; it is installed below build/npm-webhooks once, and its lack is a failure.
# One receiver is not there at first, one answers 500, one hangs, one redirects,
# one is well, and one is the example; broker and worker are killed in between.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

STANDARD=1.0.0
npm_dir=$BIN/../../npm-webhooks
secret=whsec_$(head -c 32 /dev/urandom | base64)

install_verifier() {
    [ -f "$npm_dir/standardwebhooks-$STANDARD" ] && return
    command -v npm >/dev/null || fail "there is no npm (Debian: npm)"
    rm -rf "$npm_dir"
    mkdir -p "$npm_dir"
    (cd "$npm_dir" && echo '{"private":true}' >package.json &&
        npm install --no-audit --no-fund --cache "$work/npm-cache" \
            "standardwebhooks@$STANDARD") >npm.err 2>&1 ||
        fail "npm cannot install standardwebhooks; see its words"
    : >"$npm_dir/standardwebhooks-$STANDARD"
}

# Verifies all that was received; a body that was changed must not pass.
verify() {
    webhooks requests "$1" >requests.json
    SECRET=$secret node - "$npm_dir" requests.json <<'END' || fail "see above"
const { Webhook } = require(process.argv[2] +
                            "/node_modules/standardwebhooks");
const hook = new Webhook(process.env.SECRET);
const all = JSON.parse(require("fs").readFileSync(process.argv[3]));
for (const [body, headers] of all) {
    const event = hook.verify(body, headers);
    if (event.id !== headers["webhook-id"] || event.object !== "event")
        throw new Error("another event in the body: " + body);
    let passed = true;
    try {
        hook.verify(body + " ", headers);
    } catch {
        passed = false;
    }
    if (passed)
        throw new Error("a changed body passes");
}
console.log(all.length + " signatures verified");
if (all.length === 0)
    throw new Error("nothing was received");
END
}

webhooks() {
    "$python" "$here/webhooks.py" "$@"
}

heard() { # PATH COUNT
    webhooks count heard.log "$1" "$2" >/dev/null
}

start_receiver() { # NAME [PORT]
    rm -f "$1.port"
    "$python" "$here/receiver.py" "$1.port" "$1.log" modes ${2:+"$2"} \
        2>>receiver.err &
    RECEIVER_PID=$!
    until_true 10 test -s "$1.port"
    PORT=$(cat "$1.port")
}

# Of alerts, which may fire when workers die, only the one that is well is told.
section() { # NAME PORT [EVENTS]
    printf '[webhook "%s"]\nurl = http://127.0.0.1:%s/%s\n' "$1" "$2" "$1"
    printf 'secret_file = %s\n' "$work/secret"
    printf '%s\n' "${3-events = batch.completed}"
}

# What the broker says of the event for a webhook: a member of the newest one.
told() { # WEBHOOK MEMBER
    sheaf webhooks --json | "$python" -c 'import json, sys
rows = [row for row in json.load(sys.stdin)["deliveries"]
        if row["webhook"] == sys.argv[1]]
print(rows[0][sys.argv[2]])' "$1" "$2"
}

is_told() { # WEBHOOK MEMBER WANT
    [ "$(told "$1" "$2")" = "$3" ]
}

workers() {
    pgrep -P "$BROKER_PID" -x sheaf-worker
}

install_verifier
mkdir modes
: >heard.log
printf %s "$secret" >secret
chmod 600 secret
start_receiver late # only to have a port that nobody else uses
late=$PORT
kill "$RECEIVER_PID"
start_receiver heard
"$python" "$examples/receive_events.py" secret 0 >example.out 2>example.err &
until_true 10 grep -q 'listening on port' example.err
example=$(sed -n 's/listening on port //p' example.err)
echo 500 >modes/failing
echo hang >modes/slow
echo 302 >modes/moved
{
    section well "$PORT" ''
    section failing "$PORT"
    section slow "$PORT"
    section moved "$PORT"
    section late "$late"
    section picky "$PORT" 'events = batch.cancelled'
    section example "$example"
} >sheaf.conf
start_broker
run_sheaf 0 check-config --config sheaf.conf
contains "$(cat out)" "secret_file = $work/secret" "the configuration"
case $(cat out) in *whsec_*) fail "a secret was printed" ;; esac

echo '{"id":"a","text":"One sentence to be summarised."}' >drafts.jsonl
run_sheaf 0 submit --wait --client alice --name "the first" drafts.jsonl
batch=$(cat out)
until_true 10 heard /well 1
equal "$(webhooks event heard.log /well data.id)" "batch_$batch" \
    "the batch of the event"
equal "$(webhooks event heard.log /well type)" batch.completed "its type"
equal "$(webhooks event heard.log /well data.counts.ok)" 1 "its count"
equal "$(webhooks event heard.log /well data.client)" alice "its client"
until_true 10 is_told well state delivered
until_true 10 is_told failing http_status 500
until_true 10 is_told moved http_status 302
until_true 10 is_told late code connect_failed
until_true 10 heard /slow 1
until_true 10 is_told example state delivered
run_sheaf 0 webhooks resend "$(told example id)"
until_true 10 is_told example attempts 2
until_true 10 is_told example state delivered
equal "$(cat example.out)" "batch.completed batch_$batch" \
    "what the example says, once"
equal "$(curl -s -o /dev/null -w '%{http_code}' -H 'webhook-id: evt_1' \
    -H "webhook-timestamp: $(date +%s)" -H 'webhook-signature: v1,AAAA' \
    -d '{}' "http://127.0.0.1:$example/")" 400 "a signature that is wrong"
equal "$(told slow state)" given "the one whose receiver hangs"

# The worker dies while the slow one is on its way, and then all of them.
echo 204 >modes/failing
kill -KILL "$(workers)"
until_true 10 heard /slow 2
kill -KILL "$(workers)" "$BROKER_PID"
wait "$BROKER_PID" 2>/dev/null
echo 204 >modes/slow
start_receiver late "$late"
start_broker
until_true 20 is_told slow state delivered
until_true 20 is_told failing state delivered
until_true 20 is_told late state delivered
webhooks again heard.log /failing 5 || fail "the second try; see above"
webhooks again heard.log /slow 0 || fail "the second post; see above"
equal "$(webhooks count late.log /late)" 1 "posts to the one that came late"
equal "$(webhooks count heard.log /well)" 1 "posts to the one that was well"
equal "$(webhooks count heard.log /elsewhere)" 0 "redirects that were followed"
equal "$(webhooks count heard.log /picky)" 0 "events that nobody wanted"

run_sheaf 0 webhooks test picky
until_true 10 heard /picky 1
equal "$(webhooks event heard.log /picky id)" "$(cat out)" "the test event"
equal "$(webhooks event heard.log /picky type)" webhook.test "its type"
echo 410 >modes/picky
echo '{"id":"b","text":"Another one, which is cancelled."}' >others.jsonl
run_sheaf 0 submit --not-before +1h others.jsonl
run_sheaf 0 cancel "$(cat out)"
until_true 10 is_told picky state failed
equal "$(told picky http_status)" 410 "the receiver that is gone"
rm modes/picky
run_sheaf 0 webhooks resend "$(told picky id)"
until_true 10 is_told picky state delivered
run_sheaf 0 webhooks
contains "$(cat out)" "batch.cancelled  delivered" "the table"
run_sheaf 3 webhooks test nobody
run_sheaf 3 webhooks resend evt_00000000-0000-4000-8000-000000000000
run_sheaf 2 webhooks again
run_sheaf 0 verify
verify heard.log
verify late.log
stop_broker
grep -q whsec_ broker.err && fail "a secret is in the log"
say "all were told, each once or under the same id"
