#!/bin/sh
# 22-tokens.sh - access tokens, by sheafd and its worker
#
# A token server and an API that takes its tokens (issuer.py): how often tokens
# are fetched, when they are replaced, and that none of it is written down.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

first_secret=client-secret-one-4711
second_secret=client-secret-two-0815

# Calls take 50 ms: with 5 slots, 100 of them take a second.
orders() { # SECRET EXPIRES_IN REVOKED
    printf '{"secret":"%s","expires_in":%d,"token_s":0.2,"call_s":0.05,' \
        "$1" "$2" >orders.new
    printf '"revoked":%d}\n' "$3" >>orders.new
    mv orders.new orders
}

write_secret() { # SECRET
    (umask 077 && printf '%s\n' "$1" >secret.new)
    mv secret.new secret
}

# How many lines of the issuer's log hold all these.
logged() { # PART…
    lines=$(cat issuer.log)
    for part in "$@"; do
        lines=$(printf '%s\n' "$lines" | grep -F -- "$part")
    done
    printf '%s' "$lines" | grep -c ''
}

# As many new drafts as are wanted, all answered.
run_drafts() { # COUNT
    number=$((number + 1))
    seq "$1" | sed "s/.*/{\"id\":\"&\",\"text\":\"round $number, text &\"}/" \
        >drafts.jsonl
    run_sheaf 0 submit --goal Say --wait drafts.jsonl
    run_sheaf 0 results "$(cat out)"
    equal "$(grep -c '"status":"ok"' out)" "$1" "answers of round $number"
}
number=0

stat_is() { # NAME VALUE
    sheaf stats --json | grep -q "\"$1\":$2[,}]"
}

worker_pid() {
    pgrep -P "$BROKER_PID" -x sheaf-worker
}

orders "$first_secret" 3600 0
write_secret "$first_secret"
: >issuer.log
"$python" "$here/issuer.py" port orders issuer.log 2>issuer.err &
until_true 10 test -s port
URL=http://127.0.0.1:$(cat port)
configure "$URL/v1"
cat >>sheaf.conf <<END
oauth_token_url = $URL/token
oauth_client_id = sheaf
oauth_client_secret_file = $work/secret
[sheaf]
group_window_ms = 0
heartbeat_ms = 200
cache_ttl_ms = 0
END
SHEAF_BROKER=ipc://$XDG_RUNTIME_DIR/sheaf/clients
export SHEAF_BROKER
start_broker

run_drafts 100
equal "$(logged '"call"' '"status": 200')" 100 "calls"
equal "$(logged '"what": "token"')" 1 "tokens for 100 calls"
until_true 10 stat_is token_hits 99
until_true 10 stat_is token_hit_percent 99
say "one token for 100 calls; stats: $(sheaf stats | grep token | tr -s ' \n' ' ')"

worker=$(worker_pid)
kill -KILL "$worker"
until_true 10 is_gone "$worker"
run_drafts 5
equal "$(logged '"what": "token"')" 2 "tokens with a second worker"
stop_broker
orders "$first_secret" 3 0
start_broker
run_drafts 5
equal "$(logged '"what": "token"')" 3 "tokens with a third worker"
say "a worker that starts fetches a token of its own"

# This one lasts for 3 s, is used for 2.7, and replaced from 2.16 s on.
while [ "$(logged '"what": "token"')" -lt 5 ]; do
    run_drafts 50
done
equal "$(logged '"status": 401')" 0 "calls and requests that were refused"
equal "$(logged '"running": 2')" 0 "requests for tokens beside another one"
say "tokens are replaced before their end, by one request at a time"

# The client gets another secret, and the tokens until then are revoked.
write_secret "$second_secret"
kill -HUP "$BROKER_PID"
until_true 10 grep -q event=key_changed broker.err
issued=$(logged '"what": "token"')
orders "$second_secret" 3600 "$issued"
run_drafts 5
equal "$(logged '"what": "token"' '"status": 401')" 0 \
    "requests with the old secret"
say "secrets are changed without a restart"

stop_broker
for secret in "$first_secret" "$second_secret" issued-token- \
    "$(printf 'sheaf:%s' "$first_secret" | base64)"; do
    found=$(grep -rlaF -- "$secret" . "$XDG_RUNTIME_DIR" |
        grep -vx -e ./secret -e ./orders)
    equal "$found" "" "files that hold $secret"
done
say "no log and no store holds a secret or a token"
