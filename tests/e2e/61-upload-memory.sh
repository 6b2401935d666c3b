#!/bin/sh
# 61-upload-memory.sh - a large file takes the gateway no more memory than a
# small one
#
# A file of UPLOAD_LINES (2500) lines of 4 KiB is uploaded, becomes a batch, runs,
# and its output is read, all over HTTP. The peaks of anonymous memory of
# gateway, broker and worker are bounded; with UPLOAD_LINES=50000, the largest
# file that there may be, they are the same. Under a sanitizer, which keeps what
# is freed, memory is not measured.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

UPLOAD_LINES=${UPLOAD_LINES:-2500}
LINE_BYTES=4100
GATEWAY_KIB_MAX=8192
BROKER_KIB_MAX=24576
WORKER_KIB_MAX=24576

measured() { # COMMAND…
    "$python" "$here/memory.py" --gateway "$GATEWAY_PID" peaks.json \
        "$BROKER_PID" "$@"
}

member() { # NAME of the object in `reply`, a string; empty for null
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" reply
}

is_over() {
    curl -sf -o reply "$api/v1/batches/$batch"
    case $(member status) in
    completed | failed | expired | cancelled) ;;
    *) return 1 ;;
    esac
}

worker_runs() {
    cat "/proc/$BROKER_PID/task/"*/children | grep -q .
}

peak() { # WHO
    sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" peaks.json
}

took() { # WHAT
    say "$1 took $(($(now_ms) - began)) ms"
    began=$(now_ms)
}

"$python" - "$UPLOAD_LINES" "$LINE_BYTES" >large.jsonl <<'END'
import json, sys
lines, size = map(int, sys.argv[1:])
for i in range(lines):
    text = f"line {i} über den Fluß " * (size // 24)
    line = {"custom_id": f"r-{i}", "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [
                {"role": "user", "content": ""}]}}
    room = size - len(json.dumps(line)) - 1
    line["body"]["messages"][0]["content"] = \
        text.encode()[:room].decode(errors="ignore")
    print(json.dumps(line, ensure_ascii=False))
END
start_upstream
start_broker --set slots_max=50 --set group_window_ms=0
until_true 10 worker_runs
start_gateway gateway --spool "$work/tmp"

began=$(now_ms)
measured curl -sf -o reply -F purpose=batch -F file=@large.jsonl \
    "$api/v1/files" || fail "the upload"
took "an upload of $(wc -c <large.jsonl) bytes"
file=$(member id)
curl -sf -o reply "$api/v1/batches" -H 'Content-Type: application/json' -d \
    "{\"input_file_id\":\"$file\",\"endpoint\":\"/v1/chat/completions\",
      \"completion_window\":\"24h\"}" || fail "the batch"
batch=$(member id)
until_true 900 is_over &
measured tail --pid=$! -f /dev/null
is_over
equal "$(member status)" completed "the batch"
took "a batch of $UPLOAD_LINES lines"
measured curl -sf -o output.jsonl "$api/v1/files/$(member output_file_id)/content"
took "a download of $(wc -c <output.jsonl) bytes"
equal "$(wc -l <output.jsonl)" "$UPLOAD_LINES" "lines that came back"
measured curl -sf -o again.jsonl "$api/v1/files/$file/content"
cmp large.jsonl again.jsonl || fail "the file is not as it was sent"
took "a download of what was uploaded"

printf '%-10s %12s %12s   KiB at the peak\n' process anonymous 'all of it'
for who in gateway broker worker; do
    printf '%-10s %12d %12d\n' $who "$(peak $who)" "$(peak ${who}_all)"
done
[ -n "${SAN-}" ] || {
    [ "$(peak gateway)" -gt 0 ] || fail "the gateway was not seen"
    at_most "$(peak gateway)" $GATEWAY_KIB_MAX "KiB of the gateway"
    at_most "$(peak broker)" $BROKER_KIB_MAX "KiB of the broker"
    at_most "$(peak worker)" $WORKER_KIB_MAX "KiB of the worker"
}
stop_gateway "$GATEWAY_PID"
stop_broker
stop_upstream
