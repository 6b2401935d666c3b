#!/bin/sh
# 54-recording.sh - a recording is understood to its end, or refused
#
# What strace writes of threads that a kill meets at any point of a call, in the
# shapes that were seen, read by recording.py.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

"$python" "$here/recorded.py" || fail "see above"
