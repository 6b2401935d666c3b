#!/bin/sh
# 16-churn.sh - the store's file stays small while work comes and goes
#
# A short version of what `make churn` does, see tests/churn/churn.c: 500 live
# drafts, kept for ten minutes, over an hour that is simulated.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

"$BIN/../tests/churn/churn" --drafts 500 --kept-minutes 10 \
    --minutes 60 >churn.out 2>churn.err ||
    fail "$(tail -n 5 churn.out; head -c 2000 churn.err)"
say "$(tail -n 1 churn.out)"
