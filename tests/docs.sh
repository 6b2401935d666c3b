#!/bin/sh
# docs.sh - fails when the manual pages and the code tell different things
#
# Every option of the configuration stands in sheafd.8 and in the sample file,
# every option of a command line and every event of the log in that program's
# page, and the pages are well-formed.
# SPDX-License-Identifier: MIT
set -u

failed=0

fail() { # MESSAGE
    echo "$1"
    failed=1
}

pages='queue/sheafd.8 worker/sheaf-worker.8 submit/sheaf.1 submit/sheaf-http.8'
for page in $pages; do
    [ -f "$page" ] || {
        echo "$page: missing"
        exit 1
    }
    mandoc -T lint -W warning "$page" || failed=1
done

# X(name, TYPE, …) at the start of a row of the tables of options.
options=$(sed -n 's/^    X(\([a-z][a-z0-9_]*\), [A-Z_]*,.*/\1/p' base/conf_*.h)
[ -n "$options" ] || fail "base/conf_*.h: no option was found"
for option in $options; do
    grep -qE "^#?$option = " examples/sheaf.conf ||
        fail "examples/sheaf.conf: no $option"
    grep -qw "$option" queue/sheafd.8 || fail "queue/sheafd.8: no $option"
done

# { "name", 'n', … } in the table of options, { "name", required_argument, …}
# of getopt_long(): written as Fl -name in the page.
describes() { # PAGE SOURCE…
    page=$1
    shift
    options=$(sed -n 's/^ *{ "\([a-z][a-z0-9-]*\)", \([0-9]\|'"'.'"'\|no_argument\|required_argument\).*/\1/p' "$@")
    [ -n "$options" ] || fail "$*: no option was found"
    for option in $options; do
        grep -qE -- "Fl -$option( |\$)" "$page" || fail "$page: no --$option"
    done
}
describes submit/sheaf.1 submit/options.c
describes queue/sheafd.8 queue/sheafd.c
describes worker/sheaf-worker.8 worker/sheaf_worker.c base/program.h
describes submit/sheaf-http.8 submit/sheaf_http.c base/program.h

# event=NAME in a template of the log: written as Li event=NAME in the page. What
# is put together, as %s_done, is not seen here. What base tells is sheafd's.
tells() { # PAGE FOLDER…
    page=$1
    shift
    events=$(grep -rhoE '"event=[a-z_]+' --include='*.c' "$@" | sed 's/.*=//' |
        sort -u)
    [ -n "$events" ] || fail "$*: no event was found"
    for event in $events; do
        grep -qE "Li event=$event( |\$)" "$page" ||
            fail "$page: no event=$event"
    done
}
tells queue/sheafd.8 base queue store
tells worker/sheaf-worker.8 worker
tells submit/sheaf-http.8 submit
exit $failed
