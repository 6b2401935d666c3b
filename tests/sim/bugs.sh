#!/bin/sh
# bugs.sh - plants bugs in the broker, one at a time, and has them found
#
#   bugs.sh SIM_OBJECTS… -- LIBRARIES…    with OUT, COMPILE and LINK set by make
#
# A bug is a patch in bugs/ to one source file; its object takes the place of
# the good one. Each must be found within HISTORIES. Prints which bug was found,
# by what, in which history.
# SPDX-License-Identifier: MIT
set -u

: "${OUT:?}" "${COMPILE:?}" "${LINK:?}"
HISTORIES=${HISTORIES:-3000}
found=0
missed=0

for patch in tests/sim/bugs/*.patch; do
    bug=$(basename "$patch" .patch)
    dir=$OUT/tests/sim/bugs/$bug
    file=$(sed -n 's,^+++ b/,,p' "$patch")
    mkdir -p "$dir"
    cp "$file" "$dir/planted.c"
    if ! patch -s --fuzz=0 "$dir/planted.c" "$patch"; then
        echo "$bug: the patch does not apply to $file any more" >&2
        missed=$((missed + 1))
        continue
    fi
    # The planted object stands first, so that no archive gives the good one.
    # shellcheck disable=SC2086 # lists of words
    $COMPILE -w -c -o "$dir/planted.o" "$dir/planted.c" || exit 1
    others=
    for word in "$@"; do
        [ "$word" = "$OUT/${file%.c}.o" ] || others="$others $word"
    done
    # shellcheck disable=SC2086
    $LINK -pie -o "$dir/sim" "$dir/planted.o" $others || exit 1
    "$dir/sim" "$HISTORIES" >"$dir/out" 2>"$dir/err"
    # Said by a judge, not by what the histories happened to be made of.
    if ! grep -q . "$dir/err"; then
        echo "$bug: NOT FOUND in $HISTORIES histories"
        missed=$((missed + 1))
    else
        printf '%-32s %s\n' "$bug" "$(grep -v '^replay' "$dir/err" | head -c 160 |
            tr '\n' ' ')"
        found=$((found + 1))
    fi
done
echo "$found passed, $missed failed"
[ $missed -eq 0 ]
