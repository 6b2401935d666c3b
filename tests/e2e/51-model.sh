#!/bin/sh
# 51-model.sh - drafts that wait are answered by the model that they ask for
#
# A broker without workers accepts drafts of two texts from three batches: some
# name no model, some name the one that is the default, so that each text is one
# request. Another broker is started with another default model, and a worker.
# The upstream tells the model that it was asked for, and so do the results. Then
# a third broker has the first default again: nothing has to be called for it.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

with_model() { # MODEL
    sed -i "s/^model = .*/model = $1/" sheaf.conf
    start_broker --workers 0
}

submit() { # FILE; prints the batch
    run_sheaf 0 submit "$1"
    cat out
}

# The models of a batch's results, in the order of its drafts.
models_of() { # BATCH
    run_sheaf 0 results --order input "$1"
    sed 's/.*"model":"\([^"]*\)".*/\1/' out | tr '\n' ' '
}

plain='{"id":"a","text":"one"}
{"id":"b","text":"two"}'
named='{"id":"a","text":"one","model":"first"}
{"id":"b","text":"two","model":"first"}'
printf '%s\n' "$plain" >plain.jsonl
printf '%s\n' "$named" >named.jsonl
printf '%s\n' "$plain" "$named" | sed -n '2s/b/a/p;3s/a/b/p' >mixed.jsonl

start_upstream
with_model first
quiet=$(submit plain.jsonl)
loud=$(submit named.jsonl)
both=$(submit mixed.jsonl)
run_sheaf 0 stats --json
contains "$(cat out)" '"drafts_joined":4,' "drafts with one request"
stop_broker

with_model second
"$BIN/sheaf-worker" --config sheaf.conf \
    --broker "ipc://$XDG_RUNTIME_DIR/sheaf/workers" 2>>worker.err &
WORKER_PID=$!
run_sheaf 0 wait --timeout 60 "$quiet" "$loud" "$both"
equal "$(models_of "$quiet")" 'second second ' "models of drafts that name none"
equal "$(models_of "$loud")" 'first first ' "models of drafts that name one"
both_models=$(models_of "$both")
contains "$both_models" 'first ' "models of drafts of both kinds"
equal "$(figure calls)" 4 "calls for two texts and two models"
stop_broker

with_model first
again=$(submit plain.jsonl)
run_sheaf 0 wait --timeout 60 "$again"
equal "$(models_of "$again")" 'first first ' "models from the cache"
equal "$(figure calls)" 4 "calls for what is known"
kill -TERM "$WORKER_PID"
wait "$WORKER_PID"
equal $? 0 "exit code of a worker that was told to end"
stop_broker
stop_upstream
say "two texts, two models: 4 calls"
