#!/bin/sh
# 44-faster.sh - a command whose broker comes second uses the one that came first
#
# The brokers of all commands over one store listen at the same place. So who
# answers there may be one that another command has started a moment before, and
# may be about to end. `sheaf` stands here beside a sheafd that lets such a one
# come first, once.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

cat >script <<'END'
match=slow latency=1500
END
start_upstream --script script

mkdir bin
cp "$BIN/sheaf" bin/
cat >bin/sheafd <<'END'
#!/bin/sh
[ ! -e first ] || {
    mv first taken
    . ./taken
}
exec "$BIN/sheafd" "$@"
END
chmod 755 bin/sheafd
mkfifo held

# To be read by bin/sheafd.
cat >be_first <<'END'
"$BIN/sheafd" "$@" 3<>held 2>faster.err &
echo $! >faster.pid
until grep -qx "pid $(cat faster.pid)" "$store/lock"; do
    sleep 0.02
done
END
cat >be_first_and_end <<'END'
. ./be_first
endpoint=$(sed -n 's/^endpoint //p' "$store/lock")
"$BIN/sheaf" --broker "$endpoint" submit before.jsonl >before 2>&1
until grep -q '"event":"start"' upstream.log; do
    sleep 0.02
done
kill -TERM "$(cat faster.pid)"
END

drafts_of() { # PREFIX
    for draft in one two slow; do
        printf '{"id":"%s","text":"%s of %s"}\n' "$draft" "$draft" "$1"
    done
}
run() { # STORE INPUT
    store=$1 "$work/bin/sheaf" run --store "$1" --config sheaf.conf --goal Echo \
        -o results.jsonl "$2" 2>run.err
}
# What every run must come to.
comes_to() { # EXIT_CODE STARTED_AGAIN
    equal "$1" 0 "exit code of sheaf run: $(cat run.err)"
    "$python" "$here/answers.py" drafts.jsonl results.jsonl >got ||
        fail "results: $(cat got)"
    equal "$(grep -c 'starting it again' run.err)" "$2" 'brokers started again'
}
let_go() {
    kill -TERM "$(cat faster.pid)"
    until_true 20 is_gone "$(cat faster.pid)"
}

drafts_of stays >drafts.jsonl
cp be_first first
run stays drafts.jsonl
comes_to $? 0
kill -0 "$(cat faster.pid)" || fail 'the one that was first has ended'
let_go
say 'one that was faster is used'

drafts_of ends >drafts.jsonl
echo '{"id":"before","text":"slow, too"}' >before.jsonl
cp be_first_and_end first
forget_calls
run ends drafts.jsonl
comes_to $? 0
contains "$(cat run.err)" 'which is starting or shutting down' 'what it says'
is_gone "$(cat faster.pid)" 2>kill.out || fail 'the one that was first has not ended'
equal "$(figure calls)" 4 'calls of both'
say 'one that was faster and ends is waited for'

drafts_of dies >drafts.jsonl
forget_calls
run dies drafts.jsonl &
runner=$!
until_true 20 grep -q '"event":"start"' upstream.log
cp be_first first
kill -KILL "$(sed -n 's/^pid //p' dies/lock)"
wait $runner
comes_to $? 1
contains "$(cat run.err)" 'died, and another has the store' 'what it says'
let_go
say 'one that takes the place of the own is used'
stop_upstream
until_true 20 nothing_is_left
