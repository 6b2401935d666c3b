#!/bin/sh
# 38-files.sh - files are uploaded, batches made from them, files made of those
#
# files.py does it, with real programs: all four endpoints, bad lines, ranges,
# and a broker that is killed while it takes a file, reads one, and makes one.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

start_upstream
cp sheaf.conf plain.conf
SMALL_PID=$UPSTREAM_PID

# Replies of 200 KB, so that files are made in many slices.
head -c 200000 /dev/zero | tr '\0' x >long
printf '{"choices":[{"message":{"role":"assistant","content":"%s"}}]}' \
    "$(cat long)" >reply.json
echo 'file=reply.json' >large.script
start_upstream --script large.script
cp sheaf.conf large.conf

"$python" "$here/files.py" plain.conf large.conf || fail "see above"
"$BIN/sheafd" --store store --config plain.conf --verify >verified 2>&1 ||
    fail "the store: $(cat verified)"

# The command line knows a batch whose file was bad.
cp plain.conf sheaf.conf
start_broker
bad=$(sheaf list --client alice --limit 100 --json | grep '"state":"failed"' |
    grep -o '"batch":"[^"]*"' | head -1 | cut -d '"' -f 4)
run_sheaf 1 wait "$bad"
run_sheaf 0 status --json "$bad"
contains "$(cat out)" '"failed"' "the state of a batch whose file was bad"
stop_broker
stop_upstream
UPSTREAM_PID=$SMALL_PID
stop_upstream
say "files came, went through, and came out"
