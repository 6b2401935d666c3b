#!/bin/sh
# 34-upkeep.sh - a store in use is verified and backed up, one at rest compacted
#
# Drafts are submitted and answered while a backup is made: it is a whole store
# with all that was acknowledged before. Damage is named, and repaired where it
# can be. Whatever is killed or finds no space leaves a whole store, or nothing.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

DRAFTS=2000
ROUNDS=6

# Texts of characters by chance: they cannot be packed.
drafts() { # NAME
    "$python" - "$1" $DRAFTS <<'END'
import json, random, sys
chance = random.Random(sys.argv[1])
for i in range(int(sys.argv[2])):
    text = "".join(chr(chance.randint(33, 126)) for _ in range(100))
    print(json.dumps({"id": str(i), "text": f"{sys.argv[1]}, draft {i}, "
                      f"some more words, and {text}"}))
END
}

count() { # MEMBER FILE: a number of one JSON object
    "$python" -c 'import json, sys
print(json.load(open(sys.argv[2]))[sys.argv[1]])' "$1" "$2"
}

has_round() {
    [ "$(sheaf list --json | wc -l)" -ge "$1" ]
}

whole() { # STORE
    "$BIN/sheafd" --verify --store "$1" >/dev/null 2>&1
}

start_upstream
start_broker --set group_window_ms=0 --set slots_max=50

# ---- a backup under load ----

(
    round=1
    while [ $round -le $ROUNDS ]; do
        drafts "round $round" >"round$round.jsonl"
        sheaf submit --key "round$round" "round$round.jsonl" >/dev/null || exit 1
        echo $round >>acknowledged
        round=$((round + 1))
    done
) &
load=$!
backups=0
while [ $backups -lt 3 ]; do
    backups=$((backups + 1))
    until_true 60 test -s acknowledged
    until_true 60 has_round $((backups * 2))
    cp acknowledged before$backups
    run_sheaf 0 backup "copy$backups"
    contains "$(cat err)" "0 findings" "what a backup says"
    run_sheaf 0 verify --json
    equal "$(count findings out)" 0 "findings in a store under load"
done
wait $load || fail "the load ended badly"
run_sheaf 8 backup copy1
contains "$(cat err)" "exists" "why a backup is refused"
stop_broker

# Everything that was acknowledged before a backup began is in it.
for n in 1 2 3; do
    run_sheaf 0 verify -C copy$n --json
    equal "$(count findings out)" 0 "findings in backup $n"
    sheaf list -C copy$n --json >list
    while read -r round; do
        grep -q "\"key\":\"round$round\".*\"drafts\":$DRAFTS\b" list ||
            fail "backup $n lacks round $round, which was acknowledged before"
    done <before$n
done
say "3 backups under load have what was acknowledged before: \
$(tail -n 1 before1), $(tail -n 1 before2), $(tail -n 1 before3) of $ROUNDS"

# A backup is a store that works on.
store=copy1
start_broker --set group_window_ms=0 --set slots_max=50
run_sheaf 0 wait "$(sheaf list --json | tail -n 1 |
    grep -o '"batch":"[^"]*"' | cut -d '"' -f 4)"
stop_broker
unset store

# ---- one at rest ----

start_broker --set group_window_ms=0 --set slots_max=50
run_sheaf 10 compact -C store
run_sheaf 10 verify --repair -C store
contains "$(cat err)" "in use by process" "who has the store"
run_sheaf 10 compact -C store --json
contains "$(cat err)" '{"error":{"code":"in_use","message":"store is in use' \
    "the same, told to a script"
equal "$(wc -l <err)" 1 "lines of an error with --json"
for batch in $(sheaf list --json | grep -o '"batch":"[^"]*"' |
    cut -d '"' -f 4 | tail -n +2); do
    run_sheaf 0 wait --timeout 120 "$batch"
    run_sheaf 0 purge "$batch"
done
has_one() {
    [ "$(sheaf list --json | wc -l)" -eq 1 ] &&
        sheaf stats --json | grep -q "\"drafts\":$DRAFTS\b"
}
until_true 60 has_one
stop_broker
run_sheaf 0 compact -C store --json
at_most $(($(count after out) * 5 / 4)) "$(count before out)" \
    "five quarters of the bytes after a compaction"
say "compacted: $(count before out) bytes before, $(count after out) after"
run_sheaf 0 verify --repair -C store
run_sheaf 3 compact -C nothing
run_sheaf 3 verify --repair -C nothing
mkdir -m 700 bare
run_sheaf 9 compact -C bare
run_sheaf 9 compact -C sheaf.conf
[ ! -e nothing ] || fail "a store was made where there was none"
run_sheaf 2 compact --broker "ipc://nowhere"

# ---- damage ----

cp -r store spoilt
"$python" "$here/damage.py" index spoilt/data.mdb || fail "damage"
run_sheaf 9 verify -C spoilt
contains "$(cat out)" ": not found by its uuid" "what is said of a row that is gone"
run_sheaf 0 verify --repair -C spoilt --json
equal "$(count repaired out)" 1 "repaired rows"
run_sheaf 0 verify -C spoilt
"$python" "$here/damage.py" text spoilt/data.mdb || fail "damage"
run_sheaf 9 verify -C spoilt
contains "$(cat out)" "its checksum fails" "what is said of a text that rotted"
run_sheaf 9 verify --repair -C spoilt
run_sheaf 9 backup -C spoilt spoilt-copy
[ -f spoilt-copy/data.mdb ] || fail "a damaged store was not backed up"
rm -rf spoilt
cp -r store spoilt
"$python" "$here/damage.py" length spoilt/data.mdb || fail "damage"
for command in verify 'verify --repair' compact; do
    # shellcheck disable=SC2086 # words
    run_sheaf 9 $command -C spoilt
    contains "$(cat err)" "a row reaches over its end" \
        "what $command says of a row without an end"
done
run_sheaf 9 backup -C spoilt spoilt-again
[ ! -e spoilt-again ] || fail "a backup was made of pages that lead nowhere"
rm -rf spoilt
cp -r store spoilt
"$python" "$here/damage.py" free spoilt/data.mdb || fail "damage"
run_sheaf 9 verify -C spoilt
contains "$(cat err)" "sheaf compact" "what helps against a list that is damaged"
run_sheaf 0 compact -C spoilt
run_sheaf 0 verify -C spoilt
say "damage is named, an index and the list of free pages made again"

# ---- a file that is lost while it is used ----

drafts lost >lost.jsonl
for kind in empty middle; do
    rm -rf spoilt
    cp -r store spoilt
    store=spoilt
    start_broker --workers 0
    unset store
    "$python" "$here/damage.py" $kind spoilt/data.mdb || fail "damage"
    sheaf submit --broker-timeout 1 lost.jsonl >out 2>err &&
        fail "drafts are stored nowhere"
    wait "$BROKER_PID"
    equal $? 9 "exit code of a broker whose store became $kind"
done
say "a broker ends as its store does"

# ---- limits of this shell ----

(ulimit -f 8 && exec "$BIN/sheaf" compact -C store) >out 2>err
equal $? 6 "exit code of compact where files are limited"
contains "$(cat err)" "File too large" "why it is not compacted"
whole store || fail "a limit on files has damaged the store"
start_broker --workers 0
(ulimit -f 8 && exec "$BIN/sheaf" results -o large \
    "$(sheaf list | sed -n '2s/ .*//p')") >out 2>err
equal $? 7 "exit code of results where files are limited"
contains "$(cat err)" "File too large" "why there are no results"
[ ! -e large ] || fail "a part of the results stays"
stop_broker
# Sanitizers take all addresses that there are.
if [ -z "${SAN-}" ]; then
    (ulimit -v 2000000 && exec "$BIN/sheafd" --store store \
        --config sheaf.conf --set store_bytes_max=1000000000000) 2>err
    equal $? 7 "exit code where a store cannot be mapped"
    contains "$(cat err)" "less by store_bytes_max" \
        "what helps where a store cannot be mapped"
fi
say "limits of the shell are told"

# ---- kills ----

for call in pwrite64 rename renameat2 fsync fdatasync; do
    for nth in 1 2 3; do
        cp -r store victim
        # What looks for leaks cannot do so under strace.
        ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0 strace -f -qq -o /dev/null -e trace=$call \
            -e inject=$call:signal=KILL:when=$nth \
            "$BIN/sheafd" --compact --store victim >/dev/null 2>&1
        whole victim || fail "compact, killed in $call $nth: not whole"
        [ ! -e victim/compact ] || "$BIN/sheafd" --compact --store victim \
            >/dev/null || fail "compact after a kill in $call $nth"
        [ ! -e victim/compact ] || fail "$call $nth left something behind"
        rm -r victim
    done
done
start_broker
"$BIN/sheaf" backup killed >/dev/null 2>&1 &
asked=$!
until_true 20 test -e killed.partial -o -e killed
kill -KILL "$BROKER_PID"
wait "$BROKER_PID"
kill "$asked" 2>/dev/null
wait "$asked"
[ ! -e killed ] || whole killed || fail "a killed backup is there in part"
start_broker
[ -e killed ] || run_sheaf 0 backup killed
whole killed || fail "the backup after a kill"
[ ! -e killed.partial ] || fail "a part is left"
say "kills leave whole stores"

# ---- no space ----

mkdir disk
if mount -t tmpfs -o size=1m,mode=700 tmpfs disk 2>/dev/null; then
    trap 'code=$?; umount -l "$work/disk"; (exit $code); clean_up' EXIT
    run_sheaf 6 backup disk/copy
    contains "$(cat err)" "back up to" "why there is no backup"
    equal "$(ls disk)" "" "what a backup without space leaves"
    run_sheaf 0 verify
    cat /dev/zero >disk/others 2>cat.err
    run_sheaf 6 submit -C disk/new lost.jsonl
    contains "$(cat err)" "No space left on device" "why there is no store"
    say "a full disk: nothing is left of a backup, and no store made"
else
    say "no full disk: a file system cannot be mounted here"
fi
stop_broker
