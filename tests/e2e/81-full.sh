#!/bin/sh
# 81-full.sh - a store on a disk of 16 MiB that fills up
#
# At the soft limit new batches are refused and the open one goes on; at the
# hard one its chunks are refused, too. All else goes on: reading, cancels,
# purges, and the answers of all that was accepted, to the last draft. When a
# purge has made room, batches are accepted again, by the same broker. The same
# when somebody else takes all that is left of the disk.
# SPDX-License-Identifier: MIT
set -u

# A file system of its own, which nobody else sees.
if [ -z "${FULL_MOUNTED-}" ] && unshare -m true 2>/dev/null; then
    FULL_MOUNTED=1 exec unshare -m sh "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

DRAFTS=50 # of a batch, and of a chunk
BYTES=8000

tell() { # MEMBERS [BODY-FILE]; the answer is in `answer`
    "$python" "$here/talk.py" "ipc://$XDG_RUNTIME_DIR/sheaf/clients" "$@" \
        >answer || fail "no answer to $1"
}

drafts() { # PREFIX; its file is PREFIX.jsonl
    "$python" "$here/drafts.py" $DRAFTS --bytes $BYTES --noise --prefix "$1" \
        >"$1.jsonl"
}

# Submits the drafts of a prefix; they must be accepted. Sets batch.
submit() { # PREFIX OPTION…
    file=$1.jsonl
    shift
    run_sheaf 0 submit "$@" "$file"
    batch=$(cat out)
}

# A submission must be refused for want of room.
is_refused() { # PART_OF_THE_REASON…
    run_sheaf 6 submit refused.jsonl
    equal "$(cat out)" '' 'output of a submission that was refused'
    for part in "$@"; do
        contains "$(cat err)" "$part" 'why a submission was refused'
    done
}

check() { # PREFIX BATCH
    run_sheaf 0 wait --timeout 120 "$2"
    run_sheaf 0 results --order input -o results.jsonl "$2"
    "$python" "$here/answers.py" "$1.jsonl" results.jsonl --revision 1 \
        --attempts 1 >tiers || fail "results of $1: see above"
}

can_be_read() {
    check early "$early"
    run_sheaf 0 list
    run_sheaf 0 status
    run_sheaf 0 export
    run_sheaf 0 stats
}

is_accepted() {
    sheaf submit refused.jsonl >out
}

mkdir disk
mount -t tmpfs -o size=16m,mode=700 tmpfs disk 2>/dev/null || {
    say 'skipped: a file system cannot be mounted here'
    exit 0
}
trap 'code=$?; umount -l "$work/disk"; (exit $code); clean_up' EXIT

# All calls but the first ones are held back: nothing is answered until the
# store is full.
store=disk/store
printf '%s\n' 'match="text early"' 'until=go' >held.script
start_upstream --script held.script
start_broker --set group_window_ms=0
for prefix in early chunk refused; do
    drafts $prefix
done
submit early --wait
early=$batch

# ---- the soft limit ----

tell '{"verb":"open","client":"test","key":"open"}'
open=$(sed 's/.*"batch":"\([^"]*\)".*/\1/' answer)
accepted=
number=0
got=0
while [ $got -eq 0 ]; do
    number=$((number + 1))
    [ $number -lt 100 ] || fail 'a disk of 16 MiB is never full'
    drafts "b$number"
    sheaf submit "b$number.jsonl" >out 2>err
    got=$?
    [ $got -ne 0 ] || accepted="$accepted b$number:$(cat out)"
done
equal $got 6 "exit code of a submission: $(cat err)"
is_refused 'the store is full' 'soft limit, for new batches' 'its disk' \
    'purge batches' 'make room on the disk'
say "soft limit after $((number - 1)) batches"

# ---- the hard limit ----

n=0
: >whole.jsonl
while :; do
    drafts "chunk$n"
    tell "{\"verb\":\"chunk\",\"batch\":\"$open\",\"n\":$((n + 1))}" \
        "chunk$n.jsonl"
    grep -q '"verb":"stored"' answer || break
    cat "chunk$n.jsonl" >>whole.jsonl
    n=$((n + 1))
    [ $n -lt 100 ] || fail 'a disk of 16 MiB takes all chunks'
done
[ $n -gt 0 ] || fail "the open batch was refused at the soft limit:
  $(cat answer)"
for part in '"code":"full"' 'hard limit, for more drafts' 'purge batches'; do
    contains "$(cat answer)" "$part" 'why a chunk was refused'
done
say "hard limit after $n chunks more"

# ---- what goes on ----

can_be_read
tell "{\"verb\":\"seal\",\"batch\":\"$open\",\"chunks\":$n,\"drafts\":$((n *
    DRAFTS))}"
contains "$(cat answer)" '"state":"sealed"' 'the seal of a batch at the limit'
last=${accepted##* }
accepted=${accepted% *}
run_sheaf 0 cancel "${last#*:}"
contains "$(cat out)" cancelled 'the cancel of a batch at the limit'
: >go
check whole "$open"
for one in $accepted; do
    check "${one%%:*}" "${one#*:}"
done
can_be_read
is_refused 'soft limit'
equal "$(figure repeated)" 0 'calls that were made twice'
say 'all that was accepted is answered'

# ---- room again ----

for one in $last $accepted; do
    run_sheaf 0 purge "${one#*:}"
done
until_true 60 is_accepted
check refused "$(cat out)"
can_be_read
say 'a purge made room'

kill -0 "$BROKER_PID" || fail 'the broker has ended'
stop_broker

# ---- all that is left is taken by somebody else ----

rm -rf disk/store
start_broker --set group_window_ms=0
submit early --wait
early=$batch
submit refused --wait
first=$batch
dd if=/dev/zero of=disk/ballast bs=4k 2>dd.log
contains "$(cat dd.log)" 'No space left' 'what is left of the disk'
drafts other
cp other.jsonl refused.jsonl
is_refused 'its disk'
can_be_read
run_sheaf 0 purge "$first"
can_be_read
rm disk/ballast
until_true 60 is_accepted
check refused "$(cat out)"
stop_broker
say 'a disk that others had filled'
