#!/bin/sh
# 41-faults.sh - each fault of an upstream, and what comes of it, as a table
#
# What happens and what must come of it is said by faults.py: the result, the
# calls that the upstream counted, how long they were apart, and, for the large
# ones, what the worker's memory grew by.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

"$python" "$here/faults.py" write . || fail "no script was written"
start_upstream --script script
"$python" "$here/faults.py" run "$URL" upstream.log || fail "see above"
say "all of it is as it must be"
