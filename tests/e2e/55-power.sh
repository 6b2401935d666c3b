#!/bin/sh
# 55-power.sh - whenever the power fails, what was confirmed is there
#
# power.py does it: a run is recorded, and the store opened as it may be left at
# any moment of it. POWER_IMAGES (1000; 300 with sanitizers) and POWER_SEED
# (drawn) choose how many of these images and which.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

"$python" -c 'import sys; sys.path[:0] = sys.argv[1:]
import powerload; print(powerload.SCRIPT, end="")' "$here" >script
start_upstream --script script
if [ -n "${SAN-}" ]; then
    images=${POWER_IMAGES:-300}
else
    images=${POWER_IMAGES:-1000}
fi
"$python" "$here/power.py" --images "$images" \
    ${POWER_SEED:+--seed "$POWER_SEED"} "$@" || fail "see above"
stop_upstream
