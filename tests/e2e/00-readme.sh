#!/bin/sh
# 00-readme.sh - what README.md shows is what happens
#
# BIN is the directory of the built programs. The blocks marked `console` are
# one session: lines that begin with `$ ` are commands, those with `> ` go on
# with them, and the others are what they print. All of it is run in an empty
# directory that has only examples/, and compared, but for ids, times and
# measured numbers. `00-readme.sh --print` prints the session as it went.
# SPDX-License-Identifier: MIT
set -u

: "${BIN:?the directory of the built programs}"
PATH=$BIN:$PATH
export PATH
readme=$PWD/README.md
dir=$(mktemp -d) || exit 1
failed=0

cleanup() {
    [ ! -s "$dir/store/lock" ] || # the session did not come to its end
        kill "$(sed -n 's/^pid //p' "$dir/store/lock")"
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

session() {
    awk '/^```console$/ { inside = 1; next }
        /^```/ { inside = 0 }
        inside' "$readme"
}

# The session as a script that prints its commands, too.
script() {
    # shellcheck disable=SC2016 # for the script
    echo 'show() { code=$?; printf "%s\n" "$1"; return $code; }'
    session | awk '
        function quote(text) {
            gsub(/\047/, "\047\\\047\047", text)
            return "\047" text "\047"
        }
        function finish() {
            if (command != "")
                print "show " quote(shown) "\n" command
            command = ""
        }
        /^\$ / { finish(); shown = $0; command = substr($0, 3); next }
        /^> / && command != "" {
            shown = shown "\n" $0
            command = command "\n" substr($0, 3)
            next
        }
        { finish() }
        END { finish() }'
}

mask() {
    hex='[0-9a-f]'
    sed -E "s/$hex{8}(-$hex{4}){3}-$hex{12}/UUID/g
        s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{3})?Z/TIME/g
        s/\"(seq|latency_ms)\":[0-9]+/\"\1\":N/g"
}

script >"$dir/script"
mkdir "$dir/work"
ln -s "$PWD/examples" "$dir/work/examples"
(cd "$dir/work" && SHEAF_STORE=$dir/store sh ../script) >"$dir/transcript" 2>&1
if [ "${1-}" = --print ]; then
    cat "$dir/transcript"
    exit
fi
session | mask >"$dir/want"
mask <"$dir/transcript" >"$dir/got"
check "there are commands" "$(($(grep -c '^\$ ' "$dir/want") > 10))" 1
check "the session goes as README.md shows it" \
    "$(diff "$dir/want" "$dir/got")" ""

# What `make` is told to do can be done.
sed -n 's/^    make \(.*\)/\1/p' "$readme" | sed 's/  .*//' | tr ' ' '\n' |
    grep -v = | sort -u >"$dir/targets"
check "targets are shown" "$(($(wc -l <"$dir/targets") > 4))" 1
while read -r target; do
    check "make $target is there" \
        "$(cat Makefile tests/*.mk tests/*/*.mk |
            grep -qE "^([a-z-]+ )*$target( [a-z-]+)*:" && echo yes)" yes
done <"$dir/targets"
check "every example is told of" "$(find examples -maxdepth 1 -mindepth 1 \
    ! -name tickets.jsonl ! -name '__*' -exec basename {} \; |
    while read -r name; do
        grep -q "\`$name[/\`]" "$readme" || echo "$name"
    done)" ""
exit $failed
