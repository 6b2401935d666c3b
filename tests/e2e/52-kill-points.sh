#!/bin/sh
# 52-kill-points.sh - the broker may be killed at any call that changes or tells
#
# killpoints.py does it. KILL_POINTS (40; all) and KILL_SEED (drawn) choose at
# which of them.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

start_upstream
"$python" "$here/killpoints.py" --points "${KILL_POINTS:-40}" \
    ${KILL_SEED:+--seed "$KILL_SEED"} "$@" || fail "see above"
stop_upstream
