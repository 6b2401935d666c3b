#!/bin/sh
# 39-openai.sh - the official openai package, pointed at the gateway
#
# The npm package runs the whole life cycle of files and batches, with
# OPENAI_LINES (1000) lines; openai.mjs has the cases. It is installed below
# build/npm-openai once; that needs the network, and its lack is a failure.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

OPENAI=7.57.0
OPENAI_LINES=${OPENAI_LINES:-1000}
npm_dir=$BIN/../../npm-openai

install_openai() {
    [ -f "$npm_dir/openai-$OPENAI" ] && return
    command -v npm >/dev/null || fail "there is no npm (Debian: npm)"
    rm -rf "$npm_dir"
    mkdir -p "$npm_dir"
    (cd "$npm_dir" && echo '{"private":true}' >package.json &&
        npm install --no-audit --no-fund --cache "$work/npm-cache" \
            "openai@$OPENAI") >npm.err 2>&1 ||
        fail "npm cannot install openai; see its words"
    : >"$npm_dir/openai-$OPENAI"
}

new_token() { # CLIENT SCOPE; sets token
    "$BIN/sheaf-http" --new-token "$1" >made || fail "a token is made"
    token=$(head -n 1 made)
    tail -n 1 made | sed "s/ submit / $2 /" >>tokens
}

cases() { # NAME…
    API=$api/v1 LINES=$OPENAI_LINES ALICE=$alice BOB=$bob READER=$reader \
        OPENAI_DIR=$npm_dir node "$here/openai.mjs" "$@" || fail "the cases $*"
}

install_openai
mkdir spool
: >tokens
chmod 600 tokens
new_token alice submit && alice=$token
new_token bob submit && bob=$token
new_token alice read && reader=$token

cat >script <<'END'
match=wrong status=400 body='{"error":{"message":"no such thing","type":"invalid_request_error","param":"messages","code":"odd"}}'
match=busy status=429 body='{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}'
match=slow until=go
END
start_upstream --script script
start_broker --set attempts_max=1 --set slots_max=20 --set group_window_ms=0
start_gateway gateway --tokens tokens --spool "$work/spool"

cases lifecycle
say "$OPENAI_LINES lines went up, through, and came down"
cases failures objects lists others
say "errors, lists and other clients are as the package expects"
cases cancel sheaf synchronous
say "cancel, Sheaf's own options, and single completions work, too"
cp "$examples/openai_batch.mjs" .
ln -s "$npm_dir/node_modules" node_modules
for number in 1 2 3 wrong; do
    echo "{\"custom_id\":\"r-$number\",\"method\":\"POST\",\
\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"m\",\
\"messages\":[{\"role\":\"user\",\"content\":\"example $number\"}]}}"
done >requests.jsonl
example() { # OUTPUT
    OPENAI_BASE_URL=$api/v1 OPENAI_API_KEY=$alice POLL_MS=20 \
        node openai_batch.mjs requests.jsonl >"$1" 2>example.out
    equal $? 1 "exit code of the example: $(tail -n 3 example.out)"
    head -n 1 example.out >>batches
}
example answers.jsonl
equal "$(grep -c '"content":"echo ' answers.jsonl)" 3 "answers of the example"
equal "$(grep -c '"custom_id":"r-wrong"' example.out)" 1 "failures of it"
example again.jsonl
cmp answers.jsonl again.jsonl || fail "the example gives the same again"
equal "$(sort -u batches | wc -l)" 1 "batches that it makes of one file"
say "the example runs, and finds its batch again"

equal "$(ls spool)" "" "what is left in the spool"
stop_gateway "$GATEWAY_PID"
stop_broker
stop_upstream
