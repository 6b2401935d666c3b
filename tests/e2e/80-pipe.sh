#!/bin/sh
# 80-pipe.sh - what stands around the work: stores, sockets, signals, limits
#
# A store that is damaged, foreign or newer is refused and not touched; one
# that is in use is refused. Nobody but the user comes near the sockets. A
# broker that is told to end finishes what runs. When all room is taken, drafts
# are refused, and what is there can still be read and finished.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

# Runs sheafd, which must end by itself with a code and one line that says why.
refuses() { # WANTED_CODE PART_OF_THE_REASON OPTION…
    wanted=$1 reason=$2
    shift 2
    timeout 20 "$BIN/sheafd" --config sheaf.conf --workers 0 "$@" 2>err
    got=$?
    [ $got -eq "$wanted" ] || fail "exit code of: sheafd $*
  got  $got: $(cat err)
  want $wanted"
    equal "$(wc -l <err)" 1 "lines of standard error: $(cat err)"
    contains "$(cat err)" "$reason" "the reason of exit code $wanted"
}

submit() { # WANTED_CODE FILE OPTION…
    code=$1
    shift
    run_sheaf "$code" submit --goal Summarize "$@"
    batch=$(cat out)
}

check() { # DRAFTS BATCH
    run_sheaf 0 results --order input -o results.jsonl "$2"
    "$python" "$here/answers.py" "$1" results.jsonl >tiers || fail "see above"
}

start_upstream
"$python" "$here/drafts.py" 50 >fifty.jsonl
start_broker
submit 0 --wait fifty.jsonl

# ---- what is printed arrives, or it is told ----

for program in sheaf sheafd sheaf-worker sheaf-http; do
    for option in --help --version; do
        "$BIN/$program" $option >/dev/full 2>err
        equal $? 7 "exit code of $program $option on a full disk"
        contains "$(cat err)" "$program: write standard output: No space" \
            "what $program $option says then"
    done
done
for command in "results $batch" list "submit --goal Other fifty.jsonl"; do
    # shellcheck disable=SC2086
    "$BIN/sheaf" $command >&- 2>err
    equal $? 7 "exit code of $command without standard output"
    contains "$(cat err)" 'write standard output: Bad file descriptor' \
        "what $command says then"
done
"$BIN/sheaf" submit - <&- >out 2>err
equal $? 1 'exit code of submit - without standard input'
contains "$(cat err)" 'Bad file descriptor' 'what submit - says then'

# Nothing that is opened becomes the place for messages.
"$BIN/sheafd" --store spare --config sheaf.conf --workers 0 \
    --listen "ipc://$work/apart" --listen-workers "ipc://$work/apart-workers" \
    <&- >&- 2>&- &
apart=$!
until_true 20 test -S apart
for fd in 0 1 2; do
    equal "$(readlink /proc/$apart/fd/$fd)" /dev/null "descriptor $fd of sheafd"
done
kill $apart
wait $apart
equal $? 0 'exit code of sheafd without standard descriptors'
rm -rf spare

# ---- a store has one broker ----

refuses 10 "$BROKER_PID" --store store --listen "ipc://$work/other" \
    --listen-workers "ipc://$work/workers"
# Another store, but the same sockets: the first broker keeps them.
refuses 10 'listens there' --store elsewhere
check fifty.jsonl "$batch"
stop_broker
equal "$(find "$XDG_RUNTIME_DIR" ! -type d)" '' 'sockets that are left'
say 'one broker for a store, one for a socket'

# ---- stores that cannot be used ----

state_of() { # DIR
    (cd "$1" && sha256sum data.mdb && ls -A)
}

damaged() { # KIND PART_OF_THE_REASON
    rm -rf spoilt
    cp -r store spoilt
    rm -f spoilt/lock
    "$python" "$here/damage.py" "$1" spoilt/data.mdb || fail "$1"
    : >spoilt/lock
    before=$(state_of spoilt)
    refuses 9 "$2" --store spoilt
    equal "$(state_of spoilt)" "$before" "the store after: $1"
    # The command line says the same.
    run_sheaf 9 -C spoilt --config sheaf.conf list
    contains "$(cat err)" "$2" "standard error of: sheaf -C, $1"
    equal "$(state_of spoilt)" "$before" "the store after sheaf -C: $1"
}

damaged half 'cut short'
damaged page 'cut short'
damaged empty 'is empty'
damaged zero 'damaged, or is not an LMDB file'
damaged garbage 'damaged, or is not an LMDB file'
damaged sqlite 'damaged, or is not an LMDB file'
damaged foreign 'not a Sheaf store'
damaged newer 'use a newer one'
damaged middle 'is damaged: it has the number of another page'
say 'nine kinds of damage are told and left alone'

# Lost altogether, beside a sign that there was one: no new one in its place.
rm -rf spoilt
cp -r store spoilt
rm spoilt/data.mdb
refuses 9 'data.mdb' --store spoilt
[ ! -e spoilt/data.mdb ] || fail 'a new store in place of a lost one'

# The whole one serves as before.
start_broker
check fifty.jsonl "$batch"
stop_broker

# ---- nobody else ----

chmod 755 store
refuses 2 'open to others' --store store
chmod 700 store
ln -s store link
refuses 2 'symbolic link' --store link
refuses 2 'symbolic link' --store link/
mode_of() { # FILE
    stat -c %a "$1"
}
start_broker
equal "$(mode_of "$XDG_RUNTIME_DIR/sheaf")" 700 'mode of the runtime directory'
for socket in clients workers; do
    equal "$(mode_of "$XDG_RUNTIME_DIR/sheaf/$socket")" 700 "mode of $socket"
done
for file in data.mdb lock.mdb lock; do
    equal "$(mode_of "store/$file")" 600 "mode of $file"
done
stop_broker
chmod 777 "$XDG_RUNTIME_DIR/sheaf"
refuses 2 "$XDG_RUNTIME_DIR/sheaf" --store store
run_sheaf 2 list
chmod 700 "$XDG_RUNTIME_DIR/sheaf"
mv "$XDG_RUNTIME_DIR/sheaf" "$XDG_RUNTIME_DIR/own"
ln -s own "$XDG_RUNTIME_DIR/sheaf"
refuses 2 "$XDG_RUNTIME_DIR/sheaf" --store store
rm "$XDG_RUNTIME_DIR/sheaf"

for option in --listen --listen-workers; do
    refuses 2 'loopback' --store store "$option" 'tcp://0.0.0.0:0'
    refuses 2 'loopback' --store store "$option" 'tcp://*:0'
    refuses 2 'loopback' --store store "$option" 'tcp://192.0.2.1:5000'
    refuses 2 'a port of at most 65535' --store store "$option" \
        tcp://127.0.0.1:70000
    echo precious >file
    refuses 2 'no socket stands there' --store store "$option" \
        "ipc://$work/file"
    equal "$(cat file)" precious 'a file where a socket was to be'
done
run_sheaf 2 list --broker tcp://192.0.2.1:5000
contains "$(cat err)" loopback 'standard error of sheaf --broker tcp://…'
timeout 20 "$BIN/sheaf-worker" --broker tcp://192.0.2.1:5000 2>err
equal $? 2 'exit code of sheaf-worker --broker tcp://…'
say 'nobody else gets in'

# ---- TERM ----

stop_upstream
forget_calls
start_upstream --latency-ms 1500
"$python" "$here/drafts.py" 20 --prefix drained >drained.jsonl
start_broker
submit 0 drained.jsonl
drained=$batch
calls_are() { # COUNT
    [ "$(figure calls)" -ge "$1" ]
}
until_true 20 calls_are 5
kill -TERM "$BROKER_PID"
is_draining() {
    grep -q event=draining broker.err
}
until_true 20 is_draining
run_sheaf 6 submit fifty.jsonl --goal Other
equal "$(cat out)" '' 'output of a submission that was refused'
wait "$BROKER_PID"
equal $? 0 'exit code of a broker that was told to end'
equal "$(figure calls)" 5 'calls of a broker that drains'
[ -z "$(pgrep -f "$BIN/sheaf-worker.*$XDG_RUNTIME_DIR")" ] ||
    fail 'a worker outlived its broker'
start_broker
run_sheaf 0 results "$drained"
equal "$(wc -l <out)" 5 'results of a broker that drained'
run_sheaf 0 wait --timeout 60 "$drained"
check drained.jsonl "$drained"
equal "$(figure calls)" 20 'calls after a restart'
# The second signal demands it.
"$python" "$here/drafts.py" 5 --prefix cut >cut.jsonl
submit 0 cut.jsonl
until_true 20 calls_are 25
began=$(now_ms)
kill -TERM "$BROKER_PID"
until_true 20 is_draining
kill -TERM "$BROKER_PID"
wait "$BROKER_PID"
at_most $(($(now_ms) - began)) 1400 'ms until a broker ends that is told twice'
start_broker
run_sheaf 0 wait --timeout 60 "$batch"
check cut.jsonl "$batch"
stop_broker
stop_upstream
say 'TERM: what runs is finished, what is new is refused'

# ---- no room ----

# Submits batches until one is refused, and goes on reading; then looks whether
# all that was accepted is answered, and paid for once. 81-full.sh has a disk.
limit='a store at its limit'
store=small
small() {
    start_broker --set store_bytes_max=16777216
}
forget_calls
start_upstream --latency-ms 2
small
submit 0 --wait fifty.jsonl
early=$batch
accepted=
for number in $(seq 40); do
    "$python" "$here/drafts.py" 150 --bytes 8000 --prefix "f$number" \
        >"full$number.jsonl"
    "$BIN/sheaf" submit --goal Summarize "full$number.jsonl" >out 2>err
    got=$?
    [ $got -eq 0 ] || break
    accepted="$accepted $number:$(cat out)"
done
equal "$got" 6 "exit code of a submission to $limit: $(cat err)"
equal "$(cat out)" '' "output of a submission to $limit"
[ -n "$accepted" ] || fail "$limit: nothing was accepted"
check fifty.jsonl "$early"
run_sheaf 0 export
run_sheaf 0 list
kill -0 "$BROKER_PID" || fail "$limit: the broker has ended"
for one in $accepted; do
    run_sheaf 0 wait --timeout 60 "${one#*:}"
    check "full${one%%:*}.jsonl" "${one#*:}"
done
equal "$(figure repeated)" 0 "calls that were made twice with $limit"
run_sheaf 0 export
say "$limit: refused after $(wc -l <out) drafts, which were answered"
stop_broker
small
check fifty.jsonl "$early"
stop_broker
stop_upstream
