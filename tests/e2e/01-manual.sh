#!/bin/sh
# 01-manual.sh - the manual tells the defaults and ranges that hold
#
# BIN is the directory of the built programs. `sheaf check-config` prints the
# table of the options; sheafd.8 has them in sentences.
# SPDX-License-Identifier: MIT
set -u

: "${BIN:?the directory of the built programs}"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0

check() { # CLAIM GOT WANT
    [ "$2" = "$3" ] && return
    printf 'FAIL %s\n  got:  %s\n  want: %s\n' "$1" "$2" "$3" >&2
    failed=1
}

# NAME DEFAULT MIN MAX UNIT of each option that is a number, from "(MIN to MAX UNIT)" in the
# comment above "NAME = DEFAULT".
"$BIN/sheaf" check-config --set slots_max=5 >"$dir/config" 2>/dev/null
check "the configuration is printed" $? 0
awk '/^#/ {
        match($0, /\([0-9]+ to [0-9]+[^)]*\)$/)
        split(substr($0, RSTART + 1, RLENGTH - 2), range, " ")
        unit = substr($0, RSTART + 1, RLENGTH - 2)
        sub(/^[0-9]+ to [0-9]+ ?/, "", unit)
    }
    /^[a-z]/ && $3 ~ /^[0-9]/ { print $1, $3, range[1], range[3], unit }' "$dir/config" |
    sort >"$dir/want"

# The same from ".It Cm NAME" and "Default DEFAULT UNIT; MIN to MAX.", up to
# the upstreams.
awk '/^\.Ss Upstreams/ { exit }
    /^\.It Cm / { name = $3 }
    /^Default .*; [0-9]+ to [0-9]+\.$/ && name != "" {
        split($0, half, "; ")
        split(half[1], start, " ")
        unit = half[1]
        sub(/^Default [0-9]+ ?/, "", unit)
        split(half[2], range, " ")
        sub(/\.$/, "", range[3])
        print name, start[2], range[1], range[3], unit
        name = ""
    }' queue/sheafd.8 | sort >"$dir/got"

check "there are options" "$(($(wc -l <"$dir/want") > 30))" 1
check "sheafd.8 tells defaults, ranges and units as they are" \
    "$(diff "$dir/want" "$dir/got")" ""
exit $failed
