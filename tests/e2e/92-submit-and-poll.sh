#!/bin/sh
# 92-submit-and-poll.sh - the two clients of examples/, through thick and thin
#
# BIN is the directory of the built programs. Both submit the same drafts while
# they and the broker are killed or stopped; each draft is done once.
# SPDX-License-Identifier: MIT
set -u

. "$(dirname "$0")/claims.sh"

PYTHONPATH=$PWD/examples
export PYTHONPATH PYTHONDONTWRITEBYTECODE=1
script=$PWD/examples/submit_and_poll.sh
python=
broker='' upstream='' client=''

leave() {
    for pid in $client $broker $upstream; do
        kill "$pid" 2>/dev/null
        kill -CONT "$pid" 2>/dev/null
    done
}

answers() {
    sheaf status >/dev/null 2>&1
}

start_broker() {
    sheafd --store "$dir/store" 2>>"$dir/log" &
    broker=$!
}

crash_broker() {
    kill -KILL "$broker"
    wait "$broker" 2>/dev/null
    start_broker
}

# The Python client, with less patience than the example has.
poll_py() { # KEY DRAFTS
    exec "$python" -c 'import sys, submit_and_poll as example
example.ANSWER_MS, example.TRIES = 500, 60
sys.exit(example.main(*sys.argv[1:]))' \
        "ipc://$XDG_RUNTIME_DIR/sheaf/clients" "$@"
}

calls() {
    curl -s "$url/stats" | sed 's/.*"calls":\([0-9]*\).*/\1/'
}

reset() {
    curl -s "$url/reset" >/dev/null
}

has_calls() { # COUNT
    [ "$(calls)" -ge "$1" ]
}

# 2500 drafts, of which two are wrong, and what is expected of the others.
make_drafts() { # PREFIX
    awk -v prefix="$1" 'BEGIN { for (n = 0; n < 2500; n++)
        if (n == 7) print "{\"id\":\"wrong\",\"text\":\"x\",\"txet\":\"\"}"
        else if (n == 1700) print "{\"id\":\"not JSON\""
        else printf "{\"id\":\"%d\",\"text\":\"%s %d\"}\n", n, prefix, n
    }' >"$dir/$1.jsonl"
    awk 'BEGIN { for (n = 0; n < 2500; n++) if (n != 7 && n != 1700) print n }' \
        >"$dir/want"
}

# The ids and prompts that were answered, against what was asked.
check_results() { # CLAIM PREFIX FILE
    check "$1: one result each, in order" "$(sed \
        's/.*"custom_id":"\([^"]*\)".*"status":"ok".*/\1/' "$3" |
        cmp - "$dir/want" 2>&1)" ""
    for n in 0 6 8 999 1000 1001 2499; do
        check "$1: draft $n has its answer" "$(sed -n \
            's/.*"custom_id":"'$n'",.*"text":"echo \([0-9a-f]*\)".*/\1/p' "$3")" \
            "$(printf '%s %d' "$2" "$n" | sha256sum | cut -c 1-16)"
    done
}

# Debian's pyzmq belongs to Debian's python, which need not be the first one.
for candidate in python3 /usr/bin/python3; do
    "$candidate" -c 'import zmq' 2>/dev/null && python=$candidate && break
done
[ -n "$python" ] || {
    echo "no python3 with zmq (Debian: python3-zmq)" >&2
    exit 1
}
echo 'match="stall 0" times=1 status=401' >"$dir/script"
"$BIN/upstream" --port-file "$dir/port" --latency-ms 2 --script "$dir/script" &
upstream=$!
await "the upstream listens" has_port
url=http://127.0.0.1:$(cat "$dir/port")
export OPENAI_BASE_URL="$url/v1"

test_python() {
    make_drafts python
    poll_py python "$dir/python.jsonl" >"$dir/out" 2>"$dir/err" &
    client=$!
    start_broker # the client was first
    await "drafts run" has_calls 100
    wait "$client"
    check "refused drafts are an exit code" $? 1
    client=
    check "they are told" "$(grep -c '^draft [0-9]*: ' "$dir/err")" 2
    check_results "Python" python "$dir/out"
    batch=$(sed -n '1s/.*"batch":"\([^"]*\)".*/\1/p' "$dir/out")
    sheaf results "$batch" --order input >"$dir/cli"
    check "sheaf results gives the same bytes" \
        "$(cmp "$dir/out" "$dir/cli" 2>&1)" ""
    before=$(calls)
    check "each prompt was one call" "$before" 2498
    poll_py python "$dir/python.jsonl" >"$dir/again" 2>"$dir/err" &
    wait $!
    check "the same key is the same batch" "$? $(cmp "$dir/out" "$dir/again" \
        2>&1)" "1 "
    check "nothing is called twice" "$(calls)" "$before"
    marked="$dir/marked.jsonl"
    printf '\357\273\277' | cat - "$dir/python.jsonl" >"$marked"
    poll_py python "$marked" >"$dir/again" 2>"$dir/err" &
    wait $!
    check "nor with a byte-order mark" "$? $(calls)" "1 $before"
}

# What the example says when it cannot do anything.
test_python_usage() {
    "$python" examples/submit_and_poll.py x y 2>"$dir/err"
    check "too few words are wrong usage" $? 2
    "$python" examples/submit_and_poll.py x y "$dir/none" 2>"$dir/err"
    check "a file that is not there is told" "$? $(wc -l <"$dir/err")" "7 1"
}

# The client dies at any moment; what it had handed in stays.
test_python_dies() {
    make_drafts death
    reset
    for delay in 0.15 0.2 0.25 0.3 0.4; do
        poll_py death "$dir/death.jsonl" >"$dir/out" 2>>"$dir/err" &
        client=$!
        sleep "$delay"
        kill -KILL "$client"
        wait "$client" 2>/dev/null
    done
    poll_py death "$dir/death.jsonl" >"$dir/out" 2>"$dir/err" &
    client=$!
    kill -STOP "$broker" # longer than the client waits for an answer
    sleep 1.5
    kill -CONT "$broker"
    wait "$client"
    check "it ends as if nothing had been" $? 1
    client=
    check_results "after deaths" death "$dir/out"
    check "each prompt was one call in spite of all" "$(calls)" 2498
}

# The broker dies. Its worker stays, and so does what was acknowledged.
test_broker_dies() {
    make_drafts broker
    reset
    sh "$script" shell "$dir/broker.jsonl" >"$dir/out" 2>"$dir/err" &
    client=$!
    await "drafts run" has_calls 200
    crash_broker
    await "drafts run again" has_calls 600
    crash_broker
    wait "$client"
    check "the script ends as if nothing had been" $? 1
    client=
    check_results "Shell" broker "$dir/out"
    check "no answer was paid for twice" "$(calls)" 2498
    sh "$script" shell "$dir/broker.jsonl" >"$dir/again" 2>"$dir/err"
    check "the same key is the same batch" "$? $(cmp "$dir/out" "$dir/again" \
        2>&1)" "1 "
}

# The upstream is not to be asked until somebody has seen to it.
test_stall() {
    make_drafts stall
    sh "$script" stall "$dir/stall.jsonl" >"$dir/out" 2>"$dir/err"
    check "a batch that cannot be done" "$? $(wc -c <"$dir/out")" "75 0"
    check "it is told what to do" \
        "$(grep -c 'upstreams resume openai' "$dir/err")" 1
    sheaf upstreams resume openai >/dev/null
    sh "$script" stall "$dir/stall.jsonl" >"$dir/out" 2>"$dir/err"
    check "the same command goes on" $? 1
    check "all others have their answer" \
        "$(grep -c '"status":"ok"' "$dir/out")" 2497
}

test_python_usage
test_python
await "the broker answers" answers
test_python_dies
test_broker_dies
test_stall
[ $failed -eq 0 ] || tail -n 40 "$dir/log" "$dir/err" >&2
exit $failed
