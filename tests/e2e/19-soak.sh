#!/bin/sh
# 19-soak.sh - a short soak ends well, and slopes are told from noise
#
# A quarter of a minute of what `make soak` does for hours: every kind of fault and
# restart comes in it once. Then tables that are made: what is young, what is
# started anew, and what jitters does not grow; what leaks does, and has its name.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

bench=$here/../bench
OUT=$BIN/.. "$python" "$bench/soak.py" tables --minutes 0.25 >soak.out \
    2>soak.err || fail "$(tail -n 1 soak.out)"
for who in broker worker worker-2 client; do
    grep -q " $who [0-9]* [1-9]" tables/processes.table ||
        fail "$who was not watched"
done
contains "$(cat soak.out)" " repeated after 5 workers were killed" "verdict"
"$python" "$bench/soak_slopes.py" tables >slopes.out 2>slopes.err ||
    fail "a quarter of a minute is too short to judge: $(cat slopes.err)"

# Twenty minutes, a sample each two seconds; broker and worker live for five at a
# time. All of them grow for a minute, then jitter. The leaks are in KiB an hour.
make_tables() { # BROKER_LEAK STORE_LEAK CALLS_AT_THE_END
    mkdir -p made
    awk -v leak="$1" 'BEGIN {
        for (at = 0; at < 1200; at += 2) {
            age = at % 300
            kib = 2000 + (age < 60 ? age * 20 : 1200) + (at * 7919) % 40
            printf "%d broker %d %.0f %d 3\n", at, 100 + int(at / 300), \
                kib + leak * age / 3600, 20 + at % 3
            printf "%d worker %d %.0f %d 3\n", at, 200 + int(at / 300), kib, \
                10 + at % 4
        }
    }' >made/processes.table
    awk -v leak="$2" -v calls="$3" 'BEGIN {
        for (at = 0; at < 1200; at += 2) {
            kib = 9000 + (at < 90 ? at * 100 : 9000) + (at * 7919) % 900
            printf "%d %.0f %.0f %d %.1f\n", at, kib + leak * at / 3600, \
                kib / 2, 500 + at % 50, 50 + (calls - 50) * at / 1200 + at % 5
        }
    }' >made/store.table
}

judged() { # EXIT_CODE WHAT
    "$python" "$bench/soak_slopes.py" made >slopes.out 2>slopes.err
    equal $? "$1" "exit code of slopes: $2
$(cat slopes.out slopes.err)"
}

make_tables 0 0 50
judged 0 "all is as it was"
# Of each life, 180 s are looked at: 20 MiB an hour are 1 MiB of them.
make_tables 20480 0 50
judged 1 "a broker that leaks"
contains "$(cat slopes.err)" ": memory of broker" "what leaks"
contains "$(grep '^broker *memory' slopes.out)" "+204" "how much it leaks"
make_tables 0 40000 50
judged 1 "a store that grows"
contains "$(cat slopes.err)" ": file of the store" "what grows"
make_tables 0 0 20
judged 1 "calls that become fewer"
contains "$(cat slopes.err)" ": calls a second, which fall" "what falls"
say "$(head -n 1 soak.out)"
