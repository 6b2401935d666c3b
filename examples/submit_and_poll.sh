#!/bin/sh
# submit_and_poll.sh - hand in drafts, and fetch the results when they are there
#
#   submit_and_poll.sh KEY DRAFTS.jsonl >RESULTS.jsonl
#
# For a broker that runs (sheafd). KEY names the work: whatever happens to this
# script or to the broker, the same command finds the same batch, and no draft
# is done twice. Exit codes are those of `sheaf`; 1 says that some drafts were
# refused or have no answer, and 75 that the batch is not done: somebody has to
# see to the upstream first, as standard error says.
# SPDX-License-Identifier: MIT
set -u

[ $# -eq 2 ] || {
    echo 'usage: submit_and_poll.sh KEY DRAFTS.jsonl' >&2
    exit 2
}
key=$1 drafts=$2
flaw=0

# Submits until it is known to be done. A repetition is the same batch.
for try in 1 2 3 4 5 6; do
    batch=$(sheaf submit --key "$key" --goal "${GOAL:-Summarize}" \
        --constraint "${CONSTRAINT:-one sentence}" "$drafts")
    code=$?
    case $code in
    5 | 6) sleep "$try" ;; # no broker, or one that is full or shuts down
    *) break ;;
    esac
done
[ "$code" -le 1 ] || exit "$code"
[ -n "$batch" ] || exit 1 # none of the drafts was accepted

# Polls. Here a script would do something else between two looks.
while :; do
    end=$(sheaf wait --timeout "${POLL_SECONDS:-10}" "$batch")
    code=$?
    case $code in
    0 | 1) break ;;
    4) sheaf status "$batch" | grep '^done' >&2 ;;
    5 | 6) sleep 1 ;; # the broker is on its way back
    *) exit "$code" ;;
    esac
done
echo "$end" >&2
case $end in
"$batch open: "* | "$batch sealed: "*) exit 75 ;; # it is stalled
esac
[ "$code" -eq 0 ] || flaw=1

sheaf results "$batch" --order input || exit
exit "$flaw"
