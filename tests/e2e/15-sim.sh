#!/bin/sh
# 15-sim.sh - thousands of histories of the broker's core, simulated
#
# HISTORIES sets how many; with sanitizers it is fewer. See tests/sim/sim.c.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

if [ -n "${SAN-}" ]; then
    histories=${HISTORIES:-300}
else
    histories=${HISTORIES:-5000}
fi

"$BIN/../tests/sim/sim" "$histories" >sim.out 2>sim.err ||
    fail "$(head -c 2000 sim.err; grep 'NEVER TAKEN' sim.out)"
tail -n 12 sim.out
say "$histories histories ended well"
