#!/bin/sh
# 50-kill.sh - kill -9 at random moments loses nothing and repeats little
#
# kills.py does it: each round has a store, 1000 drafts and several kills.
# KILL_ROUNDS (6) and KILL_SEED (drawn) choose how many and which.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

"$python" "$here/kills.py" --rounds "${KILL_ROUNDS:-6}" \
    ${KILL_SEED:+--seed "$KILL_SEED"} "$@" || fail "see above"
