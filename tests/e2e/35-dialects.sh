#!/bin/sh
# 35-dialects.sh - every dialect, spoken to a server that is not ours
#
# aimock, an npm package, serves the APIs of OpenAI (chat completions and
# responses), Azure, Anthropic, Gemini, Ollama and OpenRouter, checks the key in
# the header that each of them has, and writes down what it understood. It is
# installed below build/npm once; that needs the network, and its lack is a
# failure. Salesforce's API is not among them: 20-worker.sh has that one.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

AIMOCK=1.43.0
# aimock needs zlib's crc32(), which Debian 12's node does not have.
NODE=22
npm_dir=$BIN/../../npm

has_crc32() { # NODE
    "$1" -e 'process.exit(require("zlib").crc32 ? 0 : 1)' 2>/dev/null
}

install_aimock() {
    [ -f "$npm_dir/aimock-$AIMOCK" ] && return
    command -v npm >/dev/null || fail "there is no npm (Debian: npm)"
    rm -rf "$npm_dir"
    mkdir -p "$npm_dir"
    wanted=@copilotkit/aimock@$AIMOCK
    has_crc32 node || wanted="$wanted node@$NODE"
    # shellcheck disable=SC2086 # a list
    (cd "$npm_dir" && echo '{"private":true}' >package.json &&
        npm install --no-audit --no-fund --cache "$work/npm-cache" $wanted) \
        >npm.err 2>&1 || fail "npm cannot install $wanted; see its words"
    : >"$npm_dir/aimock-$AIMOCK"
}

start_aimock() {
    node=node
    has_crc32 node || node=$npm_dir/node_modules/.bin/node
    AIMOCK_API_KEYS=right-key "$node" \
        "$npm_dir/node_modules/@copilotkit/aimock/dist/cli.js" \
        -p 0 -f fixtures.json --strict >aimock.err 2>&1 &
    UPSTREAM_PID=$!
    until_true 30 grep -q 'listening on http' aimock.err
    URL=$(sed -n 's/.*listening on \(http[^ ]*\).*/\1/p' aimock.err)
}

dialects() { # ARGUMENT…
    "$python" "$here/dialects.py" "$@" || fail "see above"
}

install_aimock
dialects fixtures >fixtures.json
start_aimock
dialects conf "$URL" >sheaf.conf
dialects drafts >drafts.jsonl
RIGHT_KEY=right-key WRONG_KEY=wrong-key
export RIGHT_KEY WRONG_KEY
start_broker --set attempts_max=3 --set backoff_base_ms=20 \
    --set backoff_cap_ms=100
run_sheaf 1 submit --wait --goal Summarize drafts.jsonl
run_sheaf 0 results -o results.jsonl "$(cat out)"
dialects check results.jsonl
run_sheaf 0 stats --json
curl -sf -H 'api-key: right-key' "$URL/__aimock/journal?limit=1000" >journal ||
    fail "the journal of aimock cannot be read"
dialects heard journal out
say "$(wc -l <results.jsonl) results as expected"
