#!/bin/sh
# 41-storm.sh - an upstream that permits 30 calls a second, and more of them
#
# It answers 429 with a wait of 200 ms to all that is beyond. How much of what is
# permitted is got, for limits of many kinds, is what tests/test_pace.c holds in
# simulated time, and how much more is refused where the machine stands still at
# times; here the real programs are seen to keep to what they learn. Without a pace,
# there would be a refusal for every two of the calls that are answered.
# STORM=2000 for the whole storm: that needs a machine with nothing else to do.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

drafts=${STORM:-600}
cat >script <<'END'
beyond=30 within=1000 status=429 header="retry-after-ms: 200"
END
start_upstream --script script --latency-ms 40
"$python" "$here/drafts.py" "$drafts" >drafts.jsonl
run_sheaf 0 run -C store --config sheaf.conf --set group_window_ms=0 \
    -o results.jsonl drafts.jsonl
"$python" "$here/answers.py" drafts.jsonl results.jsonl >tiers ||
    fail "not every draft has its answer"
"$python" - "$drafts" <<'END' || fail "see above"
import json, sys
drafts = int(sys.argv[1])
events = [json.loads(line) for line in open("upstream.log")]
first = min(event["t_us"] for event in events)
last = max(event["t_us"] for event in events)
refused = [event["t_us"] for event in events if event.get("status") == 429]
starts = [event["t_us"] for event in events if event["event"] == "start"]
# A call may be on its way when another one is refused, but it is one that had
# started: as many as there are slots.
early = sum(any(0 < t - told < 200000 for told in refused) for t in starts)
share = drafts / 30 / ((last - first) / 1e6)
print(f"{drafts} calls, {len(refused)} refused, {early} on their way meanwhile, "
      f"{share:.0%} of what is permitted")
assert len(refused) <= drafts // 5, "refusals: want at most a fifth"
assert early <= 5 + len(refused) // 2, "calls within a wait: want next to none"
assert share >= 0.5, "share: want at least a half on whatever machine"
END
run_sheaf 0 -C store --config sheaf.conf upstreams --json
say "calls keep to the pace that an upstream permits"
