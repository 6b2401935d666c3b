#!/bin/sh
# bulk-summary.sh - summarise the files of a folder into one table
#
#   bulk-summary.sh FOLDER OUTPUT.csv
#   bulk-summary.sh FOLDER OUTPUT.md
#
# Needs no broker that runs: `sheaf run` starts its own. If it is interrupted,
# the same command goes on where it stopped; if it is finished, the same command
# writes its table again and calls nobody. STORE is where all is kept (default:
# `.sheaf` in the folder), GOAL and CONSTRAINT say what is wanted.
#
# The exit code is that of `sheaf run`: 1 if a document has no answer. The table
# has it all the same, with its status and what it is about.
# SPDX-License-Identifier: MIT
set -eu

usage() {
    echo 'usage: bulk-summary.sh FOLDER OUTPUT.csv|OUTPUT.md' >&2
    exit 2
}

[ $# -eq 2 ] && [ -d "$1" ] || usage
folder=$1 output=$2
case $output in
*.csv) format=csv ;;
*.md) format=text ;; # a heading and the text for each document
*) usage ;;
esac
store=${STORE:-$folder/.sheaf}

set --
for file in "$folder"/*; do
    # A table that is there already may be in the folder.
    # shellcheck disable=SC3013 # any sh of Debian has it
    [ ! -f "$file" ] || [ "$file" -ef "$output" ] || set -- "$@" "$file"
done
[ $# -gt 0 ] || {
    echo "bulk-summary.sh: no files in $folder" >&2
    exit 2
}

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
code=0
sheaf run -C "$store" --input text \
    --goal "${GOAL:-Summarize this document}" \
    --constraint "${CONSTRAINT:-at most 3 sentences}" \
    -o "$lines" -- "$@" || code=$?
[ "$code" -le 1 ] || exit "$code"

batch=$(sed -n '1s/^{"seq":[0-9]*,"batch":"\([0-9a-f-]*\)".*/\1/p' "$lines")
[ -n "$batch" ] || exit "$code"
sheaf results "$batch" -C "$store" --order input --format "$format" -o "$output"
exit "$code"
