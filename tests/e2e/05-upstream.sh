#!/bin/sh
# 05-upstream.sh - the test upstream itself: what the other scripts rely on
#
# BIN is the directory of the built programs. Plays every action, and checks
# the answers, the log and the counts. Prints got and want, and exits with 1,
# for each claim that does not hold.
# SPDX-License-Identifier: MIT
set -u

. "$(dirname "$0")/claims.sh"

pid=
python=/usr/bin/python3

leave() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
}

start() { # OPTION…
    rm -f "$dir/port" "$dir/log"
    "$BIN/upstream" --port-file "$dir/port" --log "$dir/log" "$@" \
        2>"$dir/err" &
    pid=$!
    await "the port file appears" has_port
    url=http://127.0.0.1:$(cat "$dir/port")
}

stop() {
    kill "$pid"
    wait "$pid"
    check "a signal ends it with 0" $? 0
    pid=
}

request() { # TEXT
    printf '{"model":"m-1","messages":[{"role":"system","content":%s},%s' \
        '"Say \"less\"."' '{"role":"user","content":"an earlier one"},'
    printf '{"role":"user","content":"%s"}]}' "$1"
}

# Sends a call. Its body goes to $dir/body; curl's exit code and the status, to
# standard output.
post() { # TEXT CURL-OPTION…
    request "$1" >"$dir/request"
    shift
    : >"$dir/body"
    code=$(curl -s -o "$dir/body" -w '%{http_code}' --data-binary \
        "@$dir/request" "$@" "$url/v1/chat/completions")
    echo "$? $code"
}

short_digest() { # bytes on standard input
    sha256sum | cut -c 1-16
}

stats() {
    curl -s "$url/stats"
}

reset() {
    curl -s -o "$dir/reset" "$url/reset"
}

count_events() { # PATTERN
    grep -c "$1" "$dir/log"
}

test_answers() {
    start
    digest=$(printf %s 'täglich' | short_digest)
    check "a call is answered" \
        "$(post 't\u00e4glich' -H 'Authorization: Bearer k-1')" "0 200"
    check "the answer is as documented" "$(cat "$dir/body")" \
        '{"id":"chatcmpl-1","object":"chat.completion","created":0,"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"echo '"$digest"'","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":5,"total_tokens":7}}'
    check "start is logged" \
        "$(sed -n 's/"t_us":[0-9]*/"t_us":T/;1p' "$dir/log")" \
        '{"event":"start","n":1,"t_us":T,"in_flight":1,"conn":1,"sha":"'"$(short_digest <"$dir/request")"'","user":"'"$digest"'","goal":"Say \"less\".","auth":"Bearer k-1","path":"/v1/chat/completions","bytes":'"$(wc -c <"$dir/request")"',"rule":0}'
    check "end is logged" \
        "$(sed -n 's/"t_us":[0-9]*/"t_us":T/;2p' "$dir/log")" \
        '{"event":"end","n":1,"t_us":T,"status":200,"closed_by":"server"}'

    curl -s -o "$dir/body" "$url/other" --data-binary \
        '{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"bc"}]}]}'
    digest=$(printf abc | short_digest)
    check "the texts of parts are joined" \
        "$(grep -c "\"model\":\"test\".*echo $digest" "$dir/body")" 1
    long=$(printf '%079d' 0)
    curl -s -o "$dir/body" "$url/" --data-binary \
        '{"messages":[{"role":"system","content":"'"$long"'é"}]}'
    check "the goal is cut before a character that does not fit" \
        "$(grep -c "\"goal\":\"$long\"" "$dir/log")" 1
    check "a body that is too large is a 413" "$(head -c 67108865 /dev/zero |
        curl -s -o "$dir/body" -w '%{http_code}' -H Expect: \
            --data-binary @- "$url/")" 413
    check "a body that is not JSON is a 400" "$(curl -s -o "$dir/body" \
        -w '%{http_code}' --data-binary '{"a":1,}' "$url/")" 400
    check "GET of another path is a 404" \
        "$(curl -s -o "$dir/body" -w '%{http_code}' "$url/v1")" 404
    check "a connection is kept" \
        "$(curl -s -o "$dir/body" -o "$dir/body" -w '%{num_connects} ' \
            -d '{}' "$url/1" "$url/2")" "1 0 "

    post again >"$dir/code"
    post again >"$dir/code"
    check "calls and distinct bodies are counted" "$(stats)" \
        '{"calls":8,"in_flight":0,"in_flight_max":1,"distinct":6}'
    reset
    check "a reset clears the counts" "$(stats)" \
        '{"calls":0,"in_flight":0,"in_flight_max":0,"distinct":0}'
    stop
}

test_actions() {
    cat >"$dir/script" <<'END'
# One rule for each action.
match=do-refuse action=refuse
match=do-length action=length
match=do-html status=502 action=html
match=do-empty action=empty
match=do-truncated action=truncated_json body=0123456789

match=do-hang action=hang
match=do-cut-before action=cut_before
match=do-reset action=reset
match=do-cut-headers action=cut_headers
match=do-cut-body action=cut_body body=0123456789
match=do-wrong-length action=wrong_length body=0123456789
match=do-garbage action=garbage
match=do-drip action=drip every=1
match=do-huge-headers action=huge_headers size=32
match=do-huge-answer action=huge size=2048
match=do-huge-error status=500 action=huge size=64
match=do-body-reset action=reset_body body=0123456789
match=do-file file=bytes
match=do-endless action=endless
match=do-moments header="A: {date+1}" header="B: {rfc3339+2500}" header="C: {unix+2500}" header="D: {unix_ms+2500}" header="E: {date+} {other+1} {"
match=do-own status=503 body="{\"own\":\"it's\"}" header="Content-Type: a/b"
END
    printf '\0\1' >"$dir/bytes"
    sed -i "s|file=bytes|file=$dir/bytes|" "$dir/script"
    start --script "$dir/script"
    # Action, curl's exit code and status, pattern of the body, status and
    # closer in the log.
    while IFS='|' read -r action code pattern end; do
        check "$action: code" "$(post "do-$action" --max-time 5)" "$code"
        check "$action: body $pattern" "$(grep -c "$pattern" "$dir/body")" 1
        check "$action: log" "$(tail -n 1 "$dir/log" |
            sed 's/.*"status":\([0-9]*\),"closed_by":"\(.*\)"}/\1 \2/')" "$end"
    done <<'END'
none|0 200|"echo [0-9a-f]\{16\}"|200 server
refuse|0 200|"content":null,"refusal":"|200 server
length|0 200|"finish_reason":"length"|200 server
html|0 502|<!DOCTYPE html>|502 server
truncated|0 200|^01234$|200 server
cut-body|18 200|^01234$|200 server
body-reset|56 200|^01234$|200 server
wrong-length|0 200|^01234$|200 server
drip|0 200|"echo [0-9a-f]\{16\}".*}}$|200 server
own|0 503|^{"own":"it's"}$|503 server
huge-error|0 500|"content":"xxx.*x".*}}$|500 server
huge-headers|0 200|"echo [0-9a-f]\{16\}"|200 server
huge-answer|0 200|"content":"xxx.*x".*}}$|200 server
END
    check "a huge answer has its size" \
        "$(($(wc -c <"$dir/body") / 1048576))" 2
    post do-own -D "$dir/headers" >"$dir/code"
    check "a rule's Content-Type is the only one" "$(tr -d '\r' \
        <"$dir/headers" | grep '^Content-Type')" "Content-Type: a/b"
    # The same for those that have no body.
    while IFS='|' read -r action code end; do
        check "$action: code" "$(post "do-$action" --max-time 5)" "$code"
        check "$action: no body" "$(wc -c <"$dir/body")" 0
        check "$action: log" "$(tail -n 1 "$dir/log" |
            sed 's/.*"status":\([0-9]*\),"closed_by":"\(.*\)"}/\1 \2/')" "$end"
    done <<'END'
empty|0 200|200 server
cut-before|52 000|0 server
reset|56 000|0 server
garbage|1 000|0 server
END
    post do-cut-headers -D "$dir/headers" >"$dir/code"
    check "headers are cut" "$(grep -c '^Content-Type' "$dir/headers") $(
        grep -c '^Content-Length' "$dir/headers")" "1 0"

    post do-file >"$dir/code"
    check "a file's bytes are sent as they are" \
        "$(od -A n -t x1 "$dir/body")" " 00 01"
    post do-moments -D "$dir/headers" >"$dir/code"
    check "moments are named in every form" "$(tr -d '\r' <"$dir/headers" |
        grep -cxE -e 'A: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} 2[0-9]{3} [0-9:]{8} GMT' \
            -e 'B: 2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z' \
            -e 'C: [0-9]{10}' -e 'D: [0-9]{13}' \
            -e 'E: \{date\+\} \{other\+1\} \{')" 5
    check "they are the same, and to come" "$(tr -d '\r' <"$dir/headers" |
        "$python" -c 'import datetime, sys, time
head = dict(line.strip().split(": ") for line in sys.stdin if ": " in line)
ms = int(head["D"])
shown = datetime.datetime.fromisoformat(head["B"].replace("Z", "+00:00"))
print(round(shown.timestamp() * 1000) == ms, int(head["C"]) == -(-ms // 1000),
      ms - 2500 <= time.time() * 1000 <= ms)')" "True True True"
    request do-endless >"$dir/request"
    check "an endless answer goes on until the client leaves" \
        "$(curl -s --data-binary "@$dir/request" "$url/" |
            head -c 3000000 | wc -c)" 3000000
    await "a client that leaves ends it" \
        grep -q '"status":200,"closed_by":"client"' "$dir/log"

    check "hang: code" "$(post do-hang --max-time 0.2)" "28 000"
    await "a client that leaves a hanging call ends it" \
        grep -q '"status":0,"closed_by":"client"' "$dir/log"
    check "each call has a start and an end" \
        "$(count_events '"start"') $(count_events '"end"')" "23 23"
    stop
}

test_rules() {
    cat >"$dir/script" <<'END'
match=per-body each=1 after=1 times=2 status=500
match=counted times=2 status=429 header="Retry-After: 7" header='X-A: b c'
match=counted after=1 times=1 status=418
match="say \"hi\"\t" status=402
match='"model":"m-1"' status=201
END
    start --script "$dir/script"
    codes=
    for text in per-body-a per-body-b per-body-a per-body-a per-body-b \
        per-body-a; do
        codes="$codes $(post $text | cut -d ' ' -f 2)"
    done
    check "each=1 counts bodies apart" "$codes" " 201 201 500 500 500 201"
    codes=
    for _ in 1 2 3 4 5; do
        codes="$codes $(post counted | cut -d ' ' -f 2)"
    done
    check "after and times count calls" "$codes" " 429 429 201 418 201"
    reset
    check "a reset starts the rules anew" \
        "$(post counted -D "$dir/headers")" "0 429"
    check "headers of a rule are sent" "$(tr -d '\r' <"$dir/headers" |
        grep -c -e '^Retry-After: 7$' -e '^X-A: b c$')" 2
    check "the log names the rule" \
        "$(sed -n 's/.*"rule":\([0-9]*\)}/\1/p' "$dir/log" | tr -d '\n')" \
        551115225352
    printf '{"x":say "hi"\t}' >"$dir/request"
    check "a quoted match is decoded" "$(curl -s -o "$dir/body" \
        -w '%{http_code}' --data-binary "@$dir/request" "$url/")" 402
    stop
}

test_bad_scripts() {
    while IFS= read -r line; do
        printf '# a comment\n\n%s\n' "$line" >"$dir/script"
        "$BIN/upstream" --script "$dir/script" 2>"$dir/err"
        check "refused: $line" \
            "$? $(grep -c "$dir/script:3: " "$dir/err")" "2 1"
    done <<'END'
status
status=
status=199
status=600
status=+200
status=20x
status=200 status=200
match=a match=b
until=a until=b
action=hang action=hang
action=explode
times=0
each=2
latency=-1
nothing=1
body=a body=b
body=a file=b
body='open
body="open
body="open\
body="\x"
body='a'b
header=none
header=": b"
header="A: b\r\nC: d"
=1
END
    "$BIN/upstream" --script "$dir/none" 2>"$dir/err"
    check "a script that is not there is an error" $? 7
    "$BIN/upstream" --port 65536 2>"$dir/err"
    check "a bad option is refused" $? 2
}

# Whether the last call took some milliseconds, but less than ten seconds more.
has_lasted() { # MS
    tail -n 2 "$dir/log" | sed 's/.*"t_us":\([0-9]*\).*/\1/' |
        awk -v ms="$1" 'NR == 1 { t = $1 } NR == 2 {
            us = $1 - t - 1000 * ms
            print (us >= 0 && us < 10000000 ? "yes" : us)
        }'
}

# Twenty times in one process: gives up a call that hangs, and makes another at
# once, which is sooner than the hanging call's thread can know.
give_up_often() {
    set --
    for _ in $(seq 20); do
        set -- "$@" -s -m 0.1 -o "$dir/body" -d stuck "$url/" \
            --next -s -o "$dir/body" -d again "$url/" --next
    done
    curl "$@" -s -o "$dir/body" "$url/stats"
}

test_in_flight() {
    printf '%s\n' 'match=stuck action=hang' 'match=later latency=60' \
        "match=held until=$dir/gate" >"$dir/script"
    start --script "$dir/script" --latency-ms 20
    clients=
    for i in 1 2 3 4 5 6; do
        request "stuck $i" | curl -s -o "$dir/body$i" --data-binary @- \
            "$url/" &
        clients="$clients $!"
        [ "$i" -ne 1 ] || first=$!
        await "call $i is in flight" grep -q '"event":"start","n":'"$i" \
            "$dir/log"
        # The first one leaves before the last one comes.
        if [ "$i" -eq 5 ]; then
            kill "$first"
            await "the first call has ended" grep -q '"end","n":1,' "$dir/log"
        fi
    done
    check "the counts are logged" "$(sed -n \
        's/.*"in_flight":\([0-9]*\).*/\1/p' "$dir/log" | tr -d '\n')" 123455
    # shellcheck disable=SC2086
    kill $clients 2>/dev/null # one is gone
    # shellcheck disable=SC2086
    wait $clients 2>/dev/null
    check "five calls at a time, and none when their clients are gone" \
        "$(stats)" '{"calls":6,"in_flight":0,"in_flight_max":5,"distinct":6}'

    reset
    give_up_often
    check "a call that was given up is not counted beside the next" \
        "$(stats)" '{"calls":40,"in_flight":0,"in_flight_max":1,"distinct":2}'
    check "the log says the same" \
        "$(tail -n 80 "$dir/log" | grep -c '"in_flight":1,')" 40
    check "the latency passes between start and end" "$(has_lasted 20)" yes
    check "a rule's latency is stronger" "$(post later)" "0 200"
    check "it passes between start and end, too" "$(has_lasted 60)" yes

    request held | curl -s -o "$dir/body" --data-binary @- "$url/" &
    held=$!
    await "a call waits for a file" grep -q '"n":48' "$dir/log"
    check "a call that comes later goes past it" "$(post later)" "0 200"
    check "it is in flight until then" \
        "$(count_events '"event":"end","n":48')" 0
    : >"$dir/gate"
    wait $held
    check "it is answered when the file is there" \
        "$(count_events '"event":"end","n":48,.*"status":200,')" 1

    request stuck | curl -s -o "$dir/body" --data-binary @- "$url/" &
    await "a call hangs" grep -q '"n":50' "$dir/log"
    stop
    wait
    check "a hanging call is ended by the end of the program" \
        "$(count_events '"event":"end","n":50')" 1
}

test_life() {
    start --requests-max 2
    post one >"$dir/code"
    check "the last reply is sent in full" "$(post two)" "0 200"
    wait "$pid"
    check "it ends after the last call" $? 0
    pid=

    # The shell between is killed: nobody but the kernel can tell.
    rm -f "$dir/port"
    sh -c '"$1/upstream" --parent --port-file "$2/port" 2>"$2/err" &
        echo $! >"$2/pid"; wait' sh "$BIN" "$dir" &
    between=$!
    await "it starts below a shell" has_port
    kill -9 $between
    wait $between 2>/dev/null
    pid=$(cat "$dir/pid")
    await "it ends with its parent" is_gone
    pid=
}

is_gone() {
    ! kill -0 "$pid" 2>/dev/null
}

test_answers
test_actions
test_rules
test_bad_scripts
test_in_flight
test_life
exit $failed
