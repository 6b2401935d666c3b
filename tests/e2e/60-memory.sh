#!/bin/sh
# 60-memory.sh - many drafts take no more memory than a thousand
#
# MEMORY_DRAFTS (20000) drafts of 1 KiB go through a broker, a worker and the
# command line; none of them may use more than 1.25 times what it used for 1000.
# Nothing is left behind at the end but the stores.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

FEW=1000
MANY=${MEMORY_DRAFTS:-20000}

# Sends drafts through a new store; the figures go into a file.
measure() { # COUNT FIGURES
    "$python" "$here/drafts.py" "$1" --bytes 1024 --prefix "n$1" >drafts.jsonl
    store=store-$1
    start_broker
    is_there() {
        [ "$(sheaf stats --json | sed -n 's/.*"workers":\([0-9]*\).*/\1/p')" = 1 ]
    }
    until_true 10 is_there
    "$python" "$here/memory.py" "$1" >"$2" || fail "see above"
    stop_broker
    "$python" "$here/answers.py" drafts.jsonl results.jsonl >tiers ||
        fail "wrong results"
    rm -rf "$store" drafts.jsonl results.jsonl
    say "$(cat "$2")"
}

# The log would be as large as the texts, and nobody reads it.
start_upstream --log /dev/null
measure $FEW few
measure "$MANY" many
stop_upstream

"$python" - few many <<'END' || fail "see above"
import json
import sys

few, many = (json.load(open(path)) for path in sys.argv[1:])
code = 0
for name in [name for name in few if name.endswith("_kib")]:
    limit = few[name] * 5 // 4
    if few[name] == 0 or many[name] > limit:
        print(f"{name}: got {many[name]} for {many['count']} drafts, "
              f"want {limit} at most, as it was {few[name]} for "
              f"{few['count']}", file=sys.stderr)
        code = 1
sys.exit(code)
END

left=$(find "$XDG_RUNTIME_DIR" "$TMPDIR" ! -type d)
equal "$left" "" "files left behind"
