#!/bin/sh
# 17-instructions.sh - the count of a hot path tells when the path has grown
#
# The shortest one, counted twice, is the same, and stays so in a directory and an
# environment of another size. A table of a tenth less is what growth looks like.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

paths=$BIN/../tests/bench/paths
count() { # OPTION…; prints what is counted beside `table`
    "$python" "$here/../bench/instructions.py" "$paths" table --only backoff \
        "$@" >out 2>err || fail "instructions.py: $(head -c 2000 err)"
}

count --update
line=$(grep '^backoff ' table)
counted=$(echo "$line" | awk '{ print $3 }')
[ "$counted" -gt 50 ] || fail "not counted: $line"

mkdir deeper
TMPDIR=$work/deeper MORE=$(printf '%0500d' 0) count
awk '/^backoff / { exit !($5 > -1 && $5 < 1) }' out ||
    fail "the same path, once more, differs by a percent: $(tail -n 1 out)"
equal "$(cat err)" "" "warnings of a path that has not grown"

echo "$line" | awk '{ $3 = int($3 / 1.12); print }' >table
count
contains "$(cat err)" "warning: backoff takes $counted instructions a failure" \
    "a path that has grown by 12 %"

"$python" "$here/../bench/instructions.py" "$paths" table --only nowhere \
    2>err && fail "a path that does not exist was counted"
contains "$(cat err)" "nowhere: is no path" "a path that does not exist"
say "$counted instructions of a backoff, twice"
