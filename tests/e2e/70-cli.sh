#!/bin/sh
# 70-cli.sh - the command line as a user finds it: errors, formats, exit codes
#
# Bad drafts are reported with file, line, field and reason while the others go
# on. Output comes in every format, whole or not at all. Every exit code but
# those of a full disk is had once.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

NO_BATCH=00000000-0000-4000-8000-000000000000
# The error of the last command is one line, and begins so.
error_is() { # BEGINNING
    case $(cat err) in
    "$1"*) ;;
    *) fail "standard error: got $(cat err), want $1" ;;
    esac
}

# A draft for each word.
drafts_of() { # WORD…
    for word in "$@"; do
        printf '{"id":"%s","text":"text of %s"}\n' "$word" "$word"
    done
}

# Runs a command that can be interrupted in the background. A shell lets such a
# one ignore that: python undoes it.
interruptibly() { # ARGUMENT…
    exec "$python" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.argv[1], sys.argv[1:])' "$BIN/sheaf" "$@"
}

# Submits, waits, and leaves the results in input order in `results`.
answers_to() { # WANTED_CODE OPTION… FILE…
    run_sheaf "$@"
    batch=$(cat out)
    run_sheaf 0 results "$batch" --follow --order input -o results
}

ids() {
    sed 's/.*"custom_id":"\([^"]*\)".*"status":"\([^"]*\)".*/\1=\2/' results |
        tr '\n' ' '
}

# ---- bad drafts ----

start_upstream
start_broker --set line_bytes_max=2048

"$python" "$here/refusals.py" write bad.jsonl
"$python" "$here/refusals.py" text bad.jsonl >want
answers_to 1 submit bad.jsonl
run_sheaf 1 submit bad.jsonl
sort -t : -k 2n err >got
diff got want >&2 || fail 'what is said of bad drafts'
equal "$(grep -c '"status":"ok"' results)" "$(wc -l <want)" 'good drafts'
"$python" "$here/refusals.py" json bad.jsonl | sort >want
run_sheaf 1 submit bad.jsonl --json
sort err | diff - want >&2 || fail 'what is said of bad drafts as JSON'

"$python" "$here/refusals.py" write bad.jsonl --only-bad
: >empty.jsonl
for file in bad.jsonl empty.jsonl; do
    forget_calls
    run_sheaf 1 submit $file
    equal "$(cat out)" '' "output about $file"
    contains "$(cat err)" 'no draft was accepted' "errors about $file"
    equal "$(figure calls)" 0 "calls for $file"
done
contains "$(cat err)" 'the input holds none' 'errors about nothing'
run_sheaf 1 submit - </dev/null
contains "$(cat err)" 'the input holds none' 'errors about an empty pipe'
say 'bad drafts are told, good ones go on'

# ---- what is no error, and kinds of input ----

printf '\357\273\277{"id":"a","text":"1"}\r\n\r\n \n{"id":"b","text":"2"}\r\n%s' \
    '{"id":"c","text":"3"}' >odd.jsonl
drafts_of a b c | sed 's/text of a/1/; s/text of b/2/; s/text of c/3/' >plain.jsonl
answers_to 0 submit odd.jsonl
"$python" "$here/answers.py" plain.jsonl results >/dev/null ||
    fail 'results of a file with a byte-order mark, CRLF and blank lines'
answers_to 0 submit - <plain.jsonl
equal "$(ids)" 'a=ok b=ok c=ok ' 'standard input'

mkdir docs
printf 'first text' >docs/one.txt
printf 'second\n"text"' >docs/two.md
answers_to 0 --goal Summarize submit docs/*
equal "$(ids)" 'docs/one.txt=ok docs/two.md=ok ' 'two texts'
run_sheaf 1 submit docs
error_is 'docs: file: Is a directory'

printf '{"custom_id":"o%s","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"hello %s"}]}}\n' 1 1 2 2 >openai.jsonl
answers_to 0 submit openai.jsonl
run_sheaf 0 results "$batch" --order input --format openai
"$python" - out >got <<'PYTHON' || fail 'openai lines'
import json, sys
for line in open(sys.argv[1]):
    line = json.loads(line)
    body = line["response"]["body"]
    assert line["error"] is None and line["id"], line
    assert body["object"] == "chat.completion", line
    assert set(body["usage"]) == {"prompt_tokens", "completion_tokens",
                                  "total_tokens"}, line
    message = body["choices"][0]["message"]
    print(line["custom_id"], line["response"]["status_code"],
          message["role"], message["content"])
PYTHON
echo_of() { # TEXT
    printf 'echo %.16s' "$(printf %s "$1" | sha256sum)"
}
equal "$(cat got)" "o1 200 assistant $(echo_of 'hello 1')
o2 200 assistant $(echo_of 'hello 2')" 'openai lines'
stop_broker
stop_upstream

# ---- formats ----

# The answer has every character that CSV and terminals may trip over.
ANSWER='{\"a\": 1}, \"q\",\r\nnext\ttab\nend'
cat >script <<END
match=quoted body='{"id":"1","choices":[{"message":{"role":"assistant","content":"$ANSWER"},"finish_reason":"stop"}]}'
match=slow latency=700
match=stuck action=hang
match=twice body='{"id":"2","choices":[{"message":{"content":"first"}},{"message":{"content":"other"}}]}'
match=moved status=302
match=wrong status=400 body='{"error":{"message":"no","type":"odd","param":"p","code":"c"}}'
END
store=second
start_upstream --script script
start_broker
drafts_of quoted plain >quoted.jsonl
answers_to 0 submit quoted.jsonl
run_sheaf 0 --format=csv results "$batch" --order input
"$python" - out results <<'PYTHON' || fail 'csv'
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
results = [json.loads(line) for line in open(sys.argv[2])]
assert len(rows) == len(results) == 2
assert results[0]["text"] == '{"a": 1}, "q",\r\nnext\ttab\nend', results[0]
for row, result in zip(rows, results):
    for name in ("text", "custom_id", "status", "completed_at"):
        assert row[name] == result[name], (row, result)
PYTHON
head -n 1 out | grep -q "$(printf ',completed_at\r$')" || fail 'csv: no CRLF'

# What a result line has no member for is in the reply. A redirect is no answer,
# though its status is no failure.
line_to() { # ID URL BODY
    printf '{"custom_id":"%s","method":"POST","url":"/v1/%s","body":%s}\n' "$@"
}
{
    line_to embedding embeddings '{"model":"m","input":["a","b"]}'
    for word in twice wrong moved; do
        line_to $word chat/completions \
            "{\"messages\":[{\"role\":\"user\",\"content\":\"$word\"}]}"
    done
} >whole.jsonl
run_sheaf 1 submit whole.jsonl --wait
batch=$(head -n 1 out)
run_sheaf 0 results "$batch" --order input --format openai
"$python" - out <<'PYTHON' || fail 'openai lines with the whole of the replies'
import json, sys
embedding, twice, wrong, moved = map(json.loads, open(sys.argv[1]))
assert embedding["custom_id"] == "embedding", embedding
assert embedding["response"]["body"]["data"][0]["embedding"] == [0.25, -1e-3]
assert [choice["message"]["content"] for choice in
        twice["response"]["body"]["choices"]] == ["first", "other"], twice
assert wrong["response"]["status_code"] == 400, wrong
assert wrong["response"]["body"]["error"]["param"] == "p", wrong
assert moved["response"] is None, moved
assert moved["error"]["code"] == "batch_failed", moved
PYTHON
run_sheaf 0 results "$batch" --format openai --json
equal "$(grep -c '"batch_req_' out)" 4 'openai lines in order of completion'
run_sheaf 0 purge "$batch"

# ---- a file appears when it is complete; results as they come ----

drafts_of quick slow >slow.jsonl
echo old >kept
run_sheaf 0 submit slow.jsonl
batch=$(cat out)
"$BIN/sheaf" results "$batch" --follow >followed &
follower=$!
"$BIN/sheaf" results "$batch" --follow -o kept &
writer=$!
until_true 20 grep -q '"custom_id":"quick"' followed
equal "$(grep -c slow followed)" 0 'results before they are there'
equal "$(cat kept)" old 'a file that is being replaced'
wait $follower || fail 'results --follow'
wait $writer || fail 'results --follow -o'
equal "$(wc -l <followed)" 2 'results that were followed'
diff followed kept >&2 || fail 'results in a file and on standard output'
equal "$(find . -maxdepth 1 -name '*kept*' | wc -l)" 1 'files beside the output'
ln -s kept linked
run_sheaf 0 results "$batch" -o linked
equal "$(readlink linked)" kept 'a link that is written to'
diff kept followed >&2 || fail 'what a link names'
ln -s nowhere broken
run_sheaf 7 results "$batch" -o broken
equal "$(readlink broken)" nowhere 'a link that leads nowhere'
for command in "results $batch" export; do
    # shellcheck disable=SC2086
    run_sheaf 0 $command -o -
    equal "$(grep -c '"custom_id":"slow"' out)" 1 "$command to -"
    [ ! -e - ] || fail "$command -o -: a file of that name"
done
run_sheaf 2 export --cursor-file -
TMPDIR=$work/none run_sheaf 7 run -C third - </dev/null
contains "$(cat err)" "a temporary file in $work/none (TMPDIR): No such" \
    'a TMPDIR that is not there'
run_sheaf 2 status one two
contains "$(cat err)" 'status: 2 arguments, at most 1; usage: sheaf status' \
    'too many arguments'
: >nothing
run_sheaf 2 export --cursor-file nothing
contains "$(cat err)" 'holds a number and a newline' 'an empty cursor file'
run_sheaf 7 export --cursor-file "$XDG_RUNTIME_DIR"
contains "$(cat err)" 'Is a directory' 'a directory as a cursor file'
latin=$(printf 'caf\351')
run_sheaf 0 results "$batch" -o "$latin"
diff "$latin" followed >&2 || fail 'a file whose name is no UTF-8'
run_sheaf 2 stats --prometheus --json
run_sheaf 2 list --set slots_max=7
run_sheaf 0 list --log-level info -C second --broker "ipc://$work/nobody"
equal "$(cat err)" "" 'what changes nothing'
run_sheaf 0 list -C second --set slots_max=7
contains "$(cat err)" 'the broker of second runs already: --set' 'unused --set'

# ---- questions ----

drafts_of a b a1 a2 | sed 's/text of a[12]/text of a/' >repeats.jsonl
run_sheaf 0 submit --dry-run --json repeats.jsonl
contains "$(cat out)" '{"drafts":4,"accepted":4,"refused":0,"duplicates":2,"cached":0,"joined":0,"requests":2,"groups":1,"chars":36,' 'dry run'
run_sheaf 0 submit --dry-run quoted.jsonl
contains "$(cat out)" 'answered by the store  2' 'dry run of what is known'
run_sheaf 0 list --json
equal "$(grep -c '"batch":' out)" 2 'batches after dry runs'
first=$(sed -n '2s/.*"batch":"\([^"]*\)".*/\1/p' out)
run_sheaf 0 list --client nobody --json
equal "$(cat out)" '' 'batches of nobody'
run_sheaf 0 status --json "$batch"
contains "$(cat out)" '"state":"finished"' 'status'
run_sheaf 0 status --json
contains "$(cat out)" '"batches":[]' 'status without a batch'
run_sheaf 0 stats --json
contains "$(cat out)" '"workers":1' 'stats'
run_sheaf 0 check-config --config sheaf.conf --set slots_max=7
contains "$(cat out)" 'slots_max = 7' 'check-config'
run_sheaf 2 check-config --config none.conf
error_is 'sheaf: configuration none.conf: No such file or directory'
run_sheaf 0 wait "$first" "$batch" --timeout 5
equal "$(cut -d ' ' -f 1 out)" "$first
$batch" 'wait for two'
run_sheaf 0 export --cursor-file cursor
equal "$(wc -l <out)" 4 'first export'
run_sheaf 0 export --cursor-file cursor
equal "$(cat out)" '' 'second export'
run_sheaf 0 export --after "$(($(cat cursor) - 1))"
equal "$(wc -l <out)" 1 'export --after the last but one'
run_sheaf 0 results "$batch" --follow --after "$(cat cursor)"
equal "$(cat out)" '' 'what comes behind the last one'
echo 5000 >far
run_sheaf 8 export --cursor-file far
contains "$(cat err)" 'far: after: no result has the seq 5000' \
    'an export behind the last one'
equal "$(cat far)" 5000 'the cursor of that'
run_sheaf 8 results "$batch" --after 5000

# ---- exit codes ----

run_sheaf 2 list --nonsense
error_is 'sheaf: there is no option --nonsense'
run_sheaf 2 list --nonsense --json
contains "$(cat err)" '"message":"there is no option --nonsense"}}' 'JSON error'
run_sheaf 2 status not-a-uuid
run_sheaf 2 nonsense
run_sheaf 2
run_sheaf 2 list --timeout 3
run_sheaf 2 submit plain.jsonl --deadline 2020-01-01T00:00:00Z
contains "$(cat err)" 'deadline: 2020-01-01T00:00:00.000Z is past' \
    'a deadline that is past'
run_sheaf 2 submit plain.jsonl --key ''
error_is 'sheaf: --key: must not be empty'
run_sheaf 2 run --store none plain.jsonl --key ''
error_is 'sheaf: --key: must not be empty'
run_sheaf 2 submit plain.jsonl --window 'mon-fri 22:00-06:00' --tz ''
contains "$(cat err)" '--window and --tz belong together' \
    'a window with an empty time zone'
run_sheaf 2 submit plain.jsonl --key "$(printf '%0600d' 0)"
contains "$(cat err)" "00...': key: longer than 128 bytes" 'a key that is too long'
run_sheaf 3 status $NO_BATCH
run_sheaf 3 results $NO_BATCH
drafts_of stuck >stuck.jsonl
run_sheaf 0 submit stuck.jsonl --key stuck
batch=$(cat out)
run_sheaf 4 wait --timeout 0 "$batch"
run_sheaf 8 submit stuck.jsonl --key stuck --goal other
run_sheaf 8 submit stuck.jsonl --key stuck --priority 3
contains "$(cat err)" 'was used with another priority' 'another priority'
run_sheaf 0 submit stuck.jsonl --key stuck --deadline +1h
equal "$(cat out)" "$batch" 'batch of another deadline'
run_sheaf 8 submit slow.jsonl --key stuck
drafts_of stack >stack.jsonl
run_sheaf 8 submit stack.jsonl --key stuck
contains "$(cat err)" 'submitted with other drafts' 'other drafts, as many'
run_sheaf 0 submit stuck.jsonl --key stuck
equal "$(cat out)" "$batch" 'batch of the same drafts'
run_sheaf 0 cancel "$batch"

# One that waits for its input is stopped, and says how to go on with it.
drafts_of first second third >whole.jsonl
stop_submission() { # SIGNAL WANTED_CODE OPTION…; sets key
    signal=$1 wanted=$2
    shift 2
    interruptibly submit "$@" pipe.jsonl >out 2>err &
    submitter=$!
    exec 3>pipe.jsonl
    head -n 1 whole.jsonl >&3
    until_true 20 is_open
    kill "-$signal" $submitter
    wait $submitter
    equal $? "$wanted" "exit code of a submission after $signal"
    exec 3>&-
    equal "$(cat out)" '' 'output of a submission that was stopped'
    key=$(sed -n 's/.*with --key \([0-9a-f-]*\).*/\1/p' err)
    run_sheaf 0 submit whole.jsonl --key "${key:-none was told}"
    equal "$(cat out)" "$batch" 'the batch that was gone on with'
}
is_open() {
    batch=$(sheaf list --json |
        sed -n 's/{"batch":"\([^"]*\)","state":"open".*/\1/p')
    [ -n "$batch" ]
}
mkfifo pipe.jsonl
stop_submission INT 130
stop_submission TERM 143 --json
"$BIN/sheafd" --store second --config sheaf.conf \
    --listen "ipc://$XDG_RUNTIME_DIR/second" 2>second.err
equal $? 10 'exit code of a second broker of the store'
kill -KILL "$BROKER_PID"
wait "$BROKER_PID" 2>/dev/null
run_sheaf 5 list --broker-timeout 1
cp second/data.mdb before
dd if=/dev/zero of=second/data.mdb bs=4096 count=2 conv=notrunc 2>/dev/null
cp second/data.mdb damaged
"$BIN/sheafd" --store second --config sheaf.conf 2>damaged.err
equal $? 9 'exit code over a damaged store'
cmp second/data.mdb damaged || fail 'the damaged store was changed'
cp before second/data.mdb

# ---- where a broker may listen ----

"$BIN/sheafd" --store second --config sheaf.conf --listen tcp://0.0.0.0:1234 \
    2>tcp.err
equal $? 2 'exit code of a broker on tcp://0.0.0.0:1234'
"$BIN/sheafd" --store second --config sheaf.conf --listen 'tcp://127.0.0.1:*' \
    2>tcp.err &
BROKER_PID=$!
endpoint() {
    grep -o 'tcp://127.0.0.1:[0-9]*' tcp.err
}
until_true 20 endpoint >/dev/null
run_sheaf 0 --broker "$(endpoint)" list --json
equal "$(grep -c '"batch":' out)" 5 'batches, by TCP'
stop_broker

# ---- more clients than a shell's limit of open files ----

[ "$(ulimit -Hn)" != unlimited ] && [ "$(ulimit -Hn)" -lt 1024 ] || (
    ulimit -Sn 64
    start_broker --workers 0
    "$python" - "$XDG_RUNTIME_DIR/sheaf/clients" <<'END' || exit 1
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE,
                   (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
clients, end = [], time.monotonic() + 20
while len(clients) < 200 and time.monotonic() < end:
    clients.append(socket.socket(socket.AF_UNIX))
    try:
        clients[-1].connect(sys.argv[1])
        clients[-1].settimeout(20)
        # libzmq's greeting: it was accepted.
        if not clients[-1].recv(10):
            sys.exit("client %d was turned away" % len(clients))
    except OSError as error:
        sys.exit("client %d: %s" % (len(clients), error))
END
    stop_broker
) || fail 'a broker with more clients than files'

# ---- the files of its sockets are removed ----

start_broker
run_sheaf 0 list
rm -r "$XDG_RUNTIME_DIR/sheaf"
until_true 20 sheaf list --broker-timeout 1 >/dev/null
contains "$(cat broker.err)" event=socket_renewed 'what is told of it'
kill -KILL "$(cat "/proc/$BROKER_PID/task/$BROKER_PID/children")"
drafts_of unfound >unfound.jsonl
run_sheaf 0 submit --wait unfound.jsonl
stop_broker

# ---- no place for a store ----

(unset HOME && "$BIN/sheafd" --workers 0 2>homeless.err)
equal $? 2 'exit code of a broker without a HOME'
contains "$(cat homeless.err)" 'HOME is not set' 'why it does not start'
(unset HOME && XDG_STATE_HOME=here "$BIN/sheafd" --workers 0 2>homeless.err)
equal $? 2 'exit code of one whose XDG_STATE_HOME is no absolute path'

# ---- a worker that cannot work ----

cp sheaf.conf keyless.conf
cp sheaf.conf keyed.conf
echo "key_file = $work/key" >>keyed.conf
run_keyed() { # WANTED_CODE
    run_sheaf "$1" run --store keyed --config keyed.conf -o keyed.out quoted.jsonl
}
run_keyed 2
contains "$(cat err)" "upstream test: key_file $work/key: No such file" \
    'why the worker cannot work'
contains "$(cat err)" 'ended with exit code 2' 'why the run ends'
run_sheaf 2 run --json --store keyed --config keyed.conf quoted.jsonl
contains "$(cat err)" "key_file $work/key: No such file" \
    'why the worker cannot work, for a script'
equal "$(grep -vc '^{.*}$' err)" 0 'lines of --json that are no objects'
run_sheaf 2 run --json --store keyed --config none.conf quoted.jsonl
contains "$(cat err)" '"message":"configuration none.conf: No such file' \
    'why the broker does not start, for a script'
equal "$(grep -vc '^{.*}$' err)" 0 'lines of --json that are no objects'
"$BIN/sheafd" --store keyed --config keyed.conf 2>keyed.err
equal $? 2 'exit code of a broker whose worker cannot work'
run_sheaf 0 list -C keyed --config keyed.conf
echo secret >key
chmod 644 key
run_keyed 2
contains "$(cat err)" 'mode 0644' 'why the worker cannot work'
chmod 600 key
run_keyed 0

# One that did work is started again, until it can.
cp keyed.conf sheaf.conf
store=keyed
start_broker
has_workers() { # COUNT
    sheaf stats --json | grep -q "\"workers\":$1,"
}
until_true 20 has_workers 1
rm key
kill -KILL "$(cat "/proc/$BROKER_PID/task/$BROKER_PID/children")"
until_true 20 grep -q 'worker_exited .* status=2' broker.err
echo secret >key
chmod 600 key
until_true 20 has_workers 1
stop_broker
cp keyless.conf sheaf.conf

# ---- run ----

run() { # WANTED_CODE OPTION… FILE
    run_sheaf "$1" run --store mine --config sheaf.conf "$2" "$3" "$4"
}
forget_calls
run 0 -o first.out quoted.jsonl
equal "$(figure calls)" 2 'calls of the first run'
run 0 -o second.out quoted.jsonl
cmp first.out second.out || fail 'a run that is repeated prints otherwise'
run_sheaf 0 run --store mine --config sheaf.conf --priority 3 -o second.out \
    quoted.jsonl
cmp first.out second.out || fail 'a run of another priority prints otherwise'
equal "$(figure calls)" 2 'calls after it was repeated'
drafts_of quoted new plain >changed.jsonl
run 0 -o changed.out changed.jsonl
equal "$(wc -l <changed.out)" 3 'results of changed input'
equal "$(figure calls)" 3 'calls after one draft was added'
# A key as long as one may be has no room for the number of an --again.
for out in first second; do
    run_sheaf 0 run --store mine --config sheaf.conf -o $out.out quoted.jsonl \
        --key "$(printf '%0128d' 0)"
done
cmp first.out second.out || fail 'a run of a long key is repeated otherwise'

# What only looks calls nobody, and what waits does.
store=looks
start_broker --workers 0
run_sheaf 0 submit quoted.jsonl
batch=$(cat out)
stop_broker
forget_calls
for command in list stats "why $batch quoted" alerts upstreams verify; do
    # shellcheck disable=SC2086 # words
    run_sheaf 0 $command -C looks --config sheaf.conf
done
equal "$(figure calls)" 0 'calls for commands that only look'
run_sheaf 0 wait -C looks --config sheaf.conf "$batch"
equal "$(figure calls)" 2 'calls for one that waits'

# Interrupted while one draft takes its time; the same command goes on.
drafts_of early slow late >interrupted.jsonl
forget_calls
interruptibly run --store mine --config sheaf.conf -o interrupted.out \
    interrupted.jsonl 2>run.err &
runner=$!
until_true 20 grep -q '"event":"start"' upstream.log
kill -INT $runner
wait $runner
equal $? 130 'exit code of a run that was interrupted'
[ ! -e interrupted.out ] || fail 'half a result file'
run 0 -o interrupted.out interrupted.jsonl
"$python" "$here/answers.py" interrupted.jsonl interrupted.out >/dev/null ||
    fail 'results of an interrupted run'
equal "$(figure calls)" 3 'calls of a run that was interrupted'
stop_upstream
