#!/bin/sh
# 38-gate.sh - the HTTP gateway: what it lets through, and what comes of that
#
# The cases are gate.py's; here is what they need around them. The slow ones, in
# which the gateway's deadlines of ten seconds pass, run beside the others.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

cases() { # NAME ARGUMENT…
    "$python" "$here/gate.py" "$@" || fail "the cases of $1"
}

# ---- who may listen where ----

"$BIN/sheaf-http" --listen 0.0.0.0:0 2>refused.err
equal $? 2 "exit code without tokens, beyond this host"
contains "$(cat refused.err)" "give --tokens FILE" "what is to be done"
"$BIN/sheaf-http" --new-token alice >token || fail "a token is made"
alice=$(head -n 1 token)
tail -n 1 token >tokens
"$BIN/sheaf-http" --new-token reader >token
reader=$(head -n 1 token)
tail -n 1 token | sed 's/ submit / read /' >>tokens
"$BIN/sheaf-http" --new-token past >token
past=$(head -n 1 token)
tail -n 1 token | sed 's/never/2020-01-01T00:00:00Z/' >>tokens
chmod 640 tokens
"$BIN/sheaf-http" --listen 127.0.0.1:0 --tokens tokens 2>refused.err
equal $? 2 "exit code with tokens that others can read"
contains "$(cat refused.err)" "mode 0640" "why they are not used"
chmod 600 tokens

# ---- a broker, an upstream, two gateways ----

cat >script <<'END'
match=busy each=1 times=2 status=429 header="retry-after-ms: 50"
match=wrong status=400 body='{"error":{"message":"no such thing","type":"invalid_request_error","param":"messages","code":"odd"}}'
match=broken status=500
match=page action=html
match=large action=huge size=2500
match=slow until=go
match=together until=both
match=patient until=patience
match=shared until=shared
match=again until=restarted
match=drained until=drained
END
start_upstream --script script
printf '[upstream "other"]\nbase_url = %s\nmodel = meta-llama/Llama-3\n' \
    "$URL" >>sheaf.conf
start_broker --set attempts_max=2 --set backoff_base_ms=20 \
    --set backoff_cap_ms=50 --set slots_max=10
start_gateway open
open_api=$api open_watch=$watch open_pid=$GATEWAY_PID
start_gateway closed --tokens tokens --answer-timeout 2
closed_api=$api closed_watch=$watch closed_pid=$GATEWAY_PID

cases drips "$open_api" "$open_watch" >drips.out 2>&1 &
drips_pid=$!
# In a crowd there would be no room for them.
until_true 30 grep -q "all are connected" drips.out
cases abuse "$open_api" "$open_watch"
say "each abuse is answered, and no second request is executed"
cases crowd "$open_api" "$open_watch"
say "300 connections leave room for /healthz"

# ---- a name with slashes ----

for model in meta-llama/Llama-3 meta-llama%2FLlama-3; do
    contains "$(curl -s "$open_api/v1/models/$model")" \
        '{"id":"meta-llama/Llama-3","object":"model"' "the model at $model"
done
equal "$(curl -s -o reply -w '%{http_code}' "$open_api/v1/files/a%2Fb")" 400 \
    "the status of an escaped slash elsewhere"

# ---- tokens ----

# As the manual page makes one, but for the address.
mkdir page
(
    cd page || exit 1
    umask 022
    sed -n '/^\.Sh EXAMPLES/,/^\.Ed/s/^\$ //p' "$here/../../submit/sheaf-http.8" |
        sed '$d' >example
    . ./example
) || fail "the example of the manual page"
start_gateway page --tokens page/tokens
equal "$(curl -s -o reply -w '%{http_code}' "$api/v1/models" \
    -H "Authorization: Bearer $(head -n 1 page/alice)")" 200 \
    "the status with the token of the manual page"
stop_gateway "$GATEWAY_PID"

cases tokens "$closed_api" "$alice" "$reader" "$past"
echo "# nobody" >tokens
kill -HUP "$closed_pid"
until_true 10 grep -q event=reload closed.err
cases revoked "$closed_api" "$alice"
"$BIN/sheaf-http" --new-token alice >token
alice=$(head -n 1 token)
tail -n 1 token >tokens
echo "no row" >>tokens
kill -HUP "$closed_pid"
until_true 10 grep -q event=reload_failed closed.err
sed -i 2d tokens
kill -HUP "$closed_pid"
until_true 10 sh -c 'test "$(grep -c "event=reload " closed.err)" = 2'
say "tokens let in whom they should, and SIGHUP reads them anew"

# ---- completions ----

forget_calls
answer=$(curl -s "$open_api/v1/chat/completions" \
    -H 'Content-Type: application/json' -d '{
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Say something."}]
    }' | "$python" -c 'import json, sys
print(json.load(sys.stdin)["choices"][0]["message"]["content"])')
equal "$answer" "echo $(printf %s 'Say something.' | sha256sum | cut -c 1-16)" \
    "the answer that a user's curl gets"
cases completions "$open_api"
equal "$(figure calls)" 16 "calls of the upstream for the completions"
cases late "$closed_api" "$alice"
equal "$("$python" "$here/gate.py" count upstream.log patient)" 1 \
    "calls for a request that was repeated after a 504"
cases vanish "$open_api" "$open_watch"
equal "$("$python" "$here/gate.py" count upstream.log shared)" 1 \
    "calls for a request that one of two clients left"
equal "$(sheaf list --json | wc -l)" 1 "batches left: what was not waited for"
say "completions come through the queue"

curl -sf "$open_watch/metrics" >metrics || fail "metrics are served"
for name in sheaf_build_info sheaf_http_build_info sheaf_http_replies_total; do
    grep -q "^$name{" metrics || fail "no $name among the metrics"
done
if command -v promtool >promtool; then
    equal "$(promtool check metrics <metrics 2>&1)" "" "what promtool finds"
fi

# ---- a broker that goes and comes ----

cases restart "$open_api" &
restart_pid=$!
until_true 10 grep -q '"user":"'"$(printf %s again | sha256sum | cut -c 1-16)" \
    upstream.log
kill -KILL "$BROKER_PID"
wait "$BROKER_PID" 2>/dev/null
until_true 15 cases away "$open_api" "$open_watch" 2>/dev/null
start_broker --set attempts_max=2 --set backoff_base_ms=20 \
    --set backoff_cap_ms=50 --set slots_max=10
touch restarted
wait $restart_pid || fail "a completion survives its broker"
until_true 10 curl -sf -o ready "$open_watch/readyz"
equal "$("$python" "$here/gate.py" count upstream.log again)" 1 \
    "calls for a request whose broker was killed"
say "a broker that comes back goes on"

# ---- the end ----

wait $drips_pid || {
    cat drips.out >&2
    fail "connections that drip are ended"
}
say "$(tail -n 1 drips.out)"
cases drain "$open_api" "$open_watch" "$open_pid" || fail "a drain"
wait "$open_pid"
equal $? 0 "exit code of a gateway that was drained"
stop_gateway "$closed_pid"
grep -h 'sk-sheaf' ./*.err && fail "a token stands in a log"
stop_broker
stop_upstream
