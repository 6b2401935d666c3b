#!/bin/sh
# 51-clock.sh - the wall clock jumps, at run time and between starts
#
# For every process of this script the wall clock is the one that the file
# `clock` says, by libfaketime; the clocks that count from the boot are real.
# Nothing is lost, nothing is called twice, nothing expires at once; windows go
# by what the wall clock shows.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

DRAFTS=40

# Preloaded first, the sanitizer is not: its checks of other tests are enough.
if [ -n "${SAN-}" ]; then
    say "not with sanitizers"
    exit 0
fi
library=
for path in /usr/lib/*/faketime/libfaketime.so.1; do
    [ -e "$path" ] && library=$path
done
[ -n "$library" ] || fail "libfaketime is missing: make deps"

set_clock() { # OFFSET, such as +25h
    echo "$1" >clock.new
    mv clock.new clock
}

set_clock +0
export LD_PRELOAD="$library" FAKETIME_TIMESTAMP_FILE="$work/clock" \
    FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1

drafts() { # NAME COUNT
    i=0
    while [ $i -lt "$2" ]; do
        echo "{\"id\":\"$i\",\"text\":\"$1 $i\"}"
        i=$((i + 1))
    done
}

# A figure of a batch, or of the broker.
status() { # BATCH NAME
    sheaf status "$1" --json | grep -o "\"$2\":[^,}]*" | head -n 1 | cut -d : -f 2
}

stat() { # NAME
    sheaf stats --json | grep -o "\"$1\":[0-9]*" | cut -d : -f 2
}

done_at_least() { # BATCH COUNT
    [ "$(status "$1" done)" -ge "$2" ]
}

has_jumped() { # COUNT
    [ "$(grep -c event=clock_jumped broker.err)" -ge "$1" ]
}

is_finished() { # BATCH
    [ "$(status "$1" state)" = '"finished"' ]
}

# It may start in a day and has another one from then on, by the clock on the wall.
is_due_in_two_days() { # BATCH
    left=$(($(status "$1" deadline) / 1000 - $(date +%s)))
    [ $left -gt 172400 ] && [ $left -le 172800 ] ||
        fail "the deadline is in $left s, want two days less what has passed"
}

# Of the batch that runs, two calls are under way over both jumps; meanwhile the
# rest is paused.
echo "match='run ' after=10 times=2 latency=6000" >script
start_upstream --script script
start_broker --set slots_max=2 --set group_window_ms=0

# A batch that runs, and one that may run on the day that the clock jumps to.
drafts run $DRAFTS >run.jsonl
drafts day 3 >day.jsonl
run_sheaf 0 submit run.jsonl
running=$(cat out)
day=$(LC_ALL=C date -u -d '+25 hours' +%a | tr '[:upper:]' '[:lower:]')
run_sheaf 0 submit --window "$day 00:00-24:00" --tz UTC --priority 3 day.jsonl
windowed=$(cat out)
until_true 20 done_at_least "$running" 10
run_sheaf 0 pause "$running"
equal "$(status "$windowed" done)" 0 "drafts that were done out of the window"

set_clock +25h
until_true 20 has_jumped 1
until_true 30 is_finished "$windowed"
contains "$(status "$running" state)" paused "the state 25 hours later"
set_clock -1h
until_true 20 has_jumped 2
contains "$(status "$running" state)" paused "the state an hour earlier"
run_sheaf 0 resume "$running"
until_true 60 is_finished "$running"
equal "$(status "$running" ok)" $DRAFTS "answers of the batch that ran"
equal "$(figure calls)" $((DRAFTS + 3)) "calls"
equal "$(stat leases_lost)" 0 "leases lost"
say "jumped by 25 hours and back while it ran"

# Restarts, with the clock set in between. What waits keeps its length.
set_clock +0
drafts wait 5 >wait.jsonl
run_sheaf 0 submit wait.jsonl --not-before +1d
waiting=$(cat out)
for offset in +25h -1h +25h -20000d +0; do
    stop_broker
    set_clock $offset
    start_broker --set slots_max=2 --set group_window_ms=0
    contains "$(status "$waiting" state)" sealed "the state after $offset"
    is_due_in_two_days "$waiting"
    contains "$(status "$running" state)" finished "the first one's"
done
equal "$(status "$waiting" done)" 0 "drafts that were done before their time"
equal "$(figure calls)" $((DRAFTS + 3)) "calls in the end"
run_sheaf 0 results "$running"
equal "$(wc -l <out)" $DRAFTS "results in the end"
stop_broker
say "kept its batches over five starts"
