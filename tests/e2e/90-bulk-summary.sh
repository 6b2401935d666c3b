#!/bin/sh
# 90-bulk-summary.sh - examples/bulk-summary.sh makes a table of a folder
#
# BIN is the directory of the built programs. The upstream answers with the
# digest of what it was asked, which tells whether each row has its own answer.
# SPDX-License-Identifier: MIT
set -u

: "${BIN:?the directory of the built programs}"
PATH=$BIN:$PATH
export PATH
script=$PWD/examples/bulk-summary.sh
dir=$(mktemp -d) || exit 1
pid=
failed=0

cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    wait
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check() { # CLAIM GOT WANT
    [ "$2" = "$3" ] && return
    printf 'FAIL %s\n  got:  %s\n  want: %s\n' "$1" "$2" "$3" >&2
    failed=1
}

start_upstream() { # RULE…
    printf '%s\n' "$@" >"$dir/rules"
    "$BIN/upstream" --port-file "$dir/port" --script "$dir/rules" &
    pid=$!
    for _ in $(seq 500); do
        [ ! -s "$dir/port" ] || break
        sleep 0.02
    done
    url=http://127.0.0.1:$(cat "$dir/port")
    export OPENAI_BASE_URL="$url/v1"
}

calls() {
    curl -s "$url/stats" | sed 's/.*"calls":\([0-9]*\).*/\1/'
}

summarise() { # CLAIM EXIT-CODE OUTPUT
    sh "$script" docs "$3" 2>"$dir/log"
    code=$?
    check "$1: exit code" $code "$2"
    [ $code -eq "$2" ] || cat "$dir/log" >&2
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

start_upstream 'match=damaged status=400'
cd "$dir" || exit 1
mkdir docs docs/folder
for n in $(seq 10 40); do
    printf 'Document %d.\nIt has two lines, and an "ä".\n' "$n" >"docs/$n.txt"
done

summarise "a folder becomes a table" 0 table.csv
check "a row for each file, with its own answer" \
    "$(cut -d , -f 3,6,7 table.csv)" "$(want)"
check "each file is one call" "$(calls)" 31

summarise "the same again" 0 again.csv
check "the same again is the same table" "$(cat again.csv)" "$(cat table.csv)"
summarise "the same as Markdown" 0 table.md
check "a heading for each file" "$(grep '^# ' table.md)" \
    "$(printf '# %s [ok]\n' docs/*.txt)"
check "nothing was called again" "$(calls)" 31

echo 'This one is damaged.' >docs/broken.txt
summarise "a file without an answer" 1 table.csv
check "its row has the status" "$(cut -d , -f 3,6,7 table.csv)" "$(want)"
check "one file more is one call more" "$(calls)" 32

sh "$script" docs table.xml 2>"$dir/log"
check "an unknown kind of table is refused" $? 2
mkdir none
sh "$script" none table.csv 2>"$dir/log"
check "a folder without files is refused" $? 2
exit $failed
