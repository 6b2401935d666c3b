#!/bin/sh
# 39-page.sh - the status page, in a browser that nobody looks at
#
# page.js and sign_in.js drive Chromium over a live broker, whose upstream holds
# back what it is told to until a file is there. The driver and the checker of
# accessibility are npm packages, installed below build/npm-page once; that needs
# the network, and its lack is a failure, as is that of the browser. Pictures of
# the page, for who changes it, are left in build/…/page/.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

PLAYWRIGHT=1.52.0 # the last to be content with Debian 12's node
AXE=4.10.3
npm_dir=$BIN/../../npm-page
browser=$(command -v chromium) || fail "there is no chromium (Debian: chromium)"

install_driver() {
    [ -f "$npm_dir/playwright-$PLAYWRIGHT-axe-$AXE" ] && return
    command -v npm >npm.out || fail "there is no npm (Debian: npm)"
    rm -rf "$npm_dir"
    mkdir -p "$npm_dir"
    (cd "$npm_dir" && echo '{"private":true}' >package.json &&
        npm install --no-audit --no-fund --cache "$work/npm-cache" \
            playwright-core@$PLAYWRIGHT axe-core@$AXE) >npm.err 2>&1 ||
        fail "npm cannot install the browser's driver; see its words"
    : >"$npm_dir/playwright-$PLAYWRIGHT-axe-$AXE"
}

status_of() { # CURL_ARGUMENT…
    curl -s -o body -w '%{http_code}' "$@"
}

install_driver
grep -nE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(' \
    "$here"/../../submit/page/*.js && fail "the page reads text as HTML"

cat >script <<'END'
match=held until=go
match=stuck until=never
match=flaky each=1 times=2 status=500
match=limited status=429 header="retry-after-ms: 60000"
match=rejected status=400 body='{"error":{"message":"<img src=x onerror=alert(4)>","type":"invalid_request_error","code":"odd"}}'
END
start_upstream --script script
start_broker --set attempts_max=2 --set backoff_base_ms=20 \
    --set backoff_cap_ms=50 --set slots_max=20 --set group_window_ms=100
start_gateway open --connections-each 128
open_url=$api open_pid=$GATEWAY_PID

# ---- what is served ----

curl -s -D head -o page.html "$open_url/"
policy="default-src 'none'; script-src 'self'; style-src 'self'; \
connect-src 'self'; img-src 'self' data:; form-action 'none'; \
frame-ancestors 'none'; base-uri 'none'"
for field in "content-security-policy: $policy" \
    'x-content-type-options: nosniff' 'referrer-policy: no-referrer' \
    'content-type: text/html; charset=utf-8' 'cache-control: no-cache'; do
    tr -d '\r' <head | grep -qixF "$field" || fail "the page has no $field"
done
cmp -s page.html "$here/../../submit/page/index.html" ||
    fail "the page is another one than in the source"
etag=$(tr -d '\r' <head | sed -n 's/^etag: //ip')
equal "$(status_of -H "If-None-Match: $etag" "$open_url/")" 304 "a known page"
equal "$(status_of -H 'If-None-Match: "other"' "$open_url/")" 200 "another page"
for file in "$here"/../../submit/page/*.css "$here"/../../submit/page/*.js; do
    equal "$(status_of "$open_url/page/$(basename "$file")")" 200 "$file"
    cmp -s body "$file" || fail "$file is served with other bytes"
done

# ---- what a form of another site could send ----

batch=$(echo '{"id":"a","text":"stuck here"}' |
    sheaf submit --input jsonl --name harmless -) || fail "submit"
equal "$(status_of -d 'a=b' "$open_url/ui/batches/$batch/cancel")" 415 \
    "a form that cancels"
equal "$(status_of -H 'Content-Type: text/plain' -d '{}' \
    "$open_url/ui/batches/$batch/cancel")" 415 "a plain text that cancels"
equal "$(status_of -H 'Content-Type: application/json' -d '{}' \
    -H 'Host: evil.example' "$open_url/ui/batches/$batch/cancel")" 403 \
    "a page that has another name for this host"
equal "$(status_of -H 'Content-Type: application/json' -d '[]' \
    "$open_url/ui/batches/$batch/retry")" 400 "a retry of a list"
contains "$(sheaf status "$batch")" sealed "the state of what was not cancelled"
results=$open_url/ui/batches/$batch/results
equal "$(status_of "$results?limit=0")" 400 "no results"
equal "$(status_of "$results?after=x")" 400 "no cursor"
equal "$(status_of "$results/7")" 404 "no such result"
equal "$(status_of -H 'Content-Type: application/json' -d '{}' \
    "$open_url/ui/batches/$batch/cancel")" 200 "a cancel"
say "the page is served strictly, and its actions to nobody else"

# ---- with tokens ----

"$BIN/sheaf-http" --new-token root >token || fail "a token is made"
owner=$(head -n 1 token)
tail -n 1 token >tokens
"$BIN/sheaf-http" --new-token alice >token
reader=$(head -n 1 token)
tail -n 1 token | sed 's/ submit / read /' >>tokens
chmod 600 tokens
start_gateway closed --connections-each 128 --tokens tokens
closed_url=$api closed_pid=$GATEWAY_PID
equal "$(status_of "$closed_url/")" 200 "the page itself"
equal "$(status_of "$closed_url/ui/events")" 401 "events without a token"
equal "$(status_of -H "Authorization: Bearer $reader" \
    "$closed_url/ui/batches/$batch")" 404 "another's batch"
equal "$(status_of -H "Authorization: Bearer $reader" \
    "$closed_url/ui/batches/$batch/results")" 404 "another's results"
equal "$(status_of -H "Authorization: Bearer $reader" \
    -H 'Content-Type: application/json' -d '{}' \
    "$closed_url/ui/batches/$batch/cancel")" 403 "an action of who only reads"

# ---- what many pages cost, beside the browser ----

"$python" "$here/streams.py" "$BIN/sheaf-http" costs >costs.out 2>&1 &
costs_pid=$!
"$python" "$here/streams.py" "$BIN/sheaf-http" drops >drops.out 2>&1 &
drops_pid=$!

# ---- in the browser ----

pictures=$BIN/../page
mkdir -p "$pictures"
NODE_PATH=$npm_dir/node_modules
export NODE_PATH
node "$here/page.js" "$browser" "$pictures" "$open_url" "$BROKER_PID" \
    "$open_pid" &
page_pid=$!
until_true 60 sh -c 'test -f away-seen || ! kill -0 '$page_pid
[ -f away-seen ] || fail "the page in a browser"
wait "$BROKER_PID" 2>/dev/null
start_broker --set attempts_max=2 --set backoff_base_ms=20 \
    --set backoff_cap_ms=50 --set slots_max=20 --set group_window_ms=100
wait $page_pid || fail "the page in a browser"
OWNER=$owner READER=$reader node "$here/sign_in.js" "$browser" "$pictures" \
    "$closed_url" || fail "the page in a browser that signs in"

for case in costs drops; do
    eval wait "\$${case}_pid" || {
        cat $case.out >&2
        fail "the streams of pages: $case"
    }
    say "$(cat $case.out)"
done
wait "$open_pid" 2>/dev/null
kill -TERM "$closed_pid"
wait "$closed_pid"
equal $? 0 "exit code of a gateway that was told to stop"
grep -h 'sk-sheaf' ./*.err && fail "a token stands in a log"
stop_broker
stop_upstream
