#!/bin/sh
# overnight.sh - work off a folder of documents while calls are cheap
#
#   overnight.sh SPOOL
#
# Documents are put into SPOOL/incoming during the day. Each evening a timer
# starts this script; it takes what is there, hands it in for the hours of the
# window, and stays until all is done:
#
#   incoming/          what comes next
#   night-DATE/        what is being done
#   done/night-DATE/   what is done, and beside it
#   done/night-DATE.jsonl   its results
#
# If it is killed, or the machine is switched off, the next start goes on with
# the same night and pays for nothing twice. WINDOW, ZONE, GOAL and CONSTRAINT
# say when and what.
#
# Exit codes are those of `sheaf`; 1 says that some documents have no answer, and
# 75 that the night is not done and stays where it is: somebody has to see to the
# upstream first, as standard error says.
# SPDX-License-Identifier: MIT
set -eu

[ $# -eq 1 ] || {
    echo 'usage: overnight.sh SPOOL' >&2
    exit 2
}
mkdir -p "$1/incoming" "$1/done"
cd "$1"

set -- night-*/
if [ -d "$1" ]; then
    night=${1%/} # an earlier start did not come to its end
else
    [ -n "$(ls incoming)" ] || exit 0
    night=night-$(date +%Y-%m-%dT%H%M%S)
    mv incoming "$night" # at once: what comes now is for tomorrow
    mkdir incoming
fi

set --
for file in "$night"/*; do
    [ ! -f "$file" ] || set -- "$@" "$file"
done
code=0
[ $# -eq 0 ] || sheaf run -C store --input text --name "$night" \
    --window "${WINDOW:-mon-fri 22:00-06:00}" --tz "${ZONE:-Europe/Berlin}" \
    --deadline +3d \
    --goal "${GOAL:-Summarize this document}" \
    --constraint "${CONSTRAINT:-at most 5 sentences}" \
    -o "done/$night.jsonl" -- "$@" || code=$?
[ "$code" -le 1 ] || exit "$code"
# 1 may also say that the batch is stalled: then there are no results, but there
# is a batch, as there is none where no document was accepted.
if [ "$code" -eq 1 ] && [ ! -e "done/$night.jsonl" ]; then
    batches=$(sheaf list -C store --json)
    case $batches in *"\"name\":\"$night\""*) exit 75 ;; esac
fi
mv "$night" done/
exit "$code"
