#!/bin/sh
# 33-purge.sh - what is purged is gone, and its space is used again
#
# Batches come, are answered and are purged, by hand and by age. The store does
# not grow over the rounds, keys can be used again, the cache goes on to answer,
# and an export passes over the gap.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

ROUNDS=12
DRAFTS=1000

# Drafts whose texts no other round has, of characters by chance: they cannot be
# packed, so that there is something to be stored.
drafts() { # ROUND
    "$python" - "$1" "$DRAFTS" <<'END'
import json, random, sys
chance = random.Random(int(sys.argv[1]))
for i in range(int(sys.argv[2])):
    text = "".join(chr(chance.randint(33, 126)) for _ in range(200))
    print(json.dumps({"id": str(i), "text": text}))
END
}

# Up to the last page: the room behind it, which commits have made for the next
# ones, comes in pieces of 256 KiB.
bytes() {
    "$python" -c 'print(len(open("store/data.mdb", "rb").read().rstrip(b"\0")))'
}

has_no_batch() {
    sheaf stats --json | grep -q '"drafts":0\b'
}

start_upstream
start_broker --set cache_ttl_ms=0 --set group_window_ms=0
round=1
while [ $round -le $ROUNDS ]; do
    drafts $round >drafts.jsonl
    run_sheaf 0 submit --wait --key nightly drafts.jsonl
    batch=$(sheaf list --json | grep -o '"batch":"[^"]*"' | head -1 |
        cut -d '"' -f 4)
    run_sheaf 0 purge "$batch"
    contains "$(cat out)" "$DRAFTS drafts are gone" "what a purge says"
    run_sheaf 3 status "$batch"
    until_true 30 has_no_batch
    [ $round -ne 4 ] || early=$(bytes)
    round=$((round + 1))
done
at_most "$(bytes)" $((early * 5 / 4)) "bytes of the store after $ROUNDS rounds"
equal "$(figure calls)" $((ROUNDS * DRAFTS)) "calls in all"
say "$ROUNDS rounds: $early bytes after 4 of them, $(bytes) at the end"
stop_broker

# By age; the cache answers what was purged.
start_broker --set results_ttl_ms=1 --set group_window_ms=0
forget_calls
head -n 10 drafts.jsonl >few.jsonl
run_sheaf 0 submit --wait few.jsonl
until_true 40 has_no_batch
run_sheaf 0 submit --wait few.jsonl
equal "$(figure calls)" 10 "calls for what the cache holds"
run_sheaf 0 export
say "purged by age; the cache answered"

# A live one is not removed.
cat >slow.script <<'END'
action=hang
END
stop_upstream
start_upstream --script slow.script
stop_broker
start_broker
run_sheaf 0 submit --system Other. few.jsonl
batch=$(cat out)
run_sheaf 8 purge "$batch"
contains "$(cat err)" "cancel it first" "why a live batch is not purged"
run_sheaf 0 cancel "$batch"
run_sheaf 0 purge "$batch"
say "a live batch is cancelled first"
