#!/bin/sh
# 90-bulk-summary.sh - examples/bulk-summary.sh makes a table of a folder
#
# The upstream answers with the digest of what it was asked, which tells whether
# each row has its own answer.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

summarise() { # CLAIM EXIT-CODE OUTPUT
    sh "$examples/bulk-summary.sh" docs "$3" 2>run.err
    equal $? "$2" "$1: exit code"
}

# The table that is expected: id, status and text of each file in order.
want() {
    echo "custom_id,status,text"
    for file in docs/*.txt; do
        case $file in
        */broken*) echo "$file,bad_request," ;;
        *) echo "$file,ok,echo $(sha256sum <"$file" | cut -c 1-16)" ;;
        esac
    done
}

echo 'match=damaged status=400' >rules
start_upstream --script rules
export OPENAI_BASE_URL="$URL"
mkdir docs docs/folder
for n in $(seq 10 40); do
    printf 'Document %d.\nIt has two lines, and an "ä".\n' "$n" >"docs/$n.txt"
done

summarise "a folder becomes a table" 0 table.csv
equal "$(cut -d , -f 3,6,7 table.csv)" "$(want)" \
    "a row for each file, with its own answer"
equal "$(figure calls)" 31 "each file is one call"

summarise "the same again" 0 again.csv
equal "$(cat again.csv)" "$(cat table.csv)" "the same again is the same table"
summarise "the same as Markdown" 0 table.md
equal "$(grep '^# ' table.md)" \
    "$(printf '# %s [ok]\n' docs/*.txt)" "a heading for each file"
for claim in 'a table in the folder' 'and again'; do
    summarise "$claim" 0 docs/table.csv
    equal "$(cat docs/table.csv)" "$(cat table.csv)" "$claim is the same table"
done
rm docs/table.csv
equal "$(figure calls)" 31 "nothing was called again"

echo 'This one is damaged.' >docs/broken.txt
summarise "a file without an answer" 1 table.csv
equal "$(cut -d , -f 3,6,7 table.csv)" "$(want)" "its row has the status"
equal "$(figure calls)" 32 "one file more is one call more"

sh "$examples/bulk-summary.sh" docs table.xml 2>run.err
equal $? 2 "an unknown kind of table is refused"
mkdir none
sh "$examples/bulk-summary.sh" none table.csv 2>run.err
equal $? 2 "a folder without files is refused"

stop_upstream
until_true 5 nothing_is_left
