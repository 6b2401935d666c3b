#!/bin/sh
# banned.sh - fails when a function is called that we do without
#
# In the code of the programs; the first row holds for tests as well.
# SPDX-License-Identifier: MIT
set -u

failed=0

# Calls of the functions in the files that are left after the exceptions. A
# line that begins as a comment is none.
ban() { # FUNCTION|… REASON EXCEPTION|… FOLDER…
    functions=$1 reason=$2 exceptions=$3
    shift 3
    found=$(grep -rnE --include='*.[ch]' "(^|[^[:alnum:]_>.])($functions)[[:space:]]*\\(" \
        "$@" | grep -vE "^($exceptions):" | grep -vE '^[^:]*:[0-9]*:[[:space:]]*/?\*')
    [ -n "$found" ] || return
    printf '%s\n  %s\n' "$found" "$reason"
    failed=1
}

programs='base store queue worker submit'

# shellcheck disable=SC2086 # a list
{
    ban 'strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|gets|strtok|alloca' \
        'knows no bounds' - $programs tests
    ban 'atoi|atol|atoll|atof' 'tells no error' - $programs tests
    ban 'time|gettimeofday|clock_gettime' 'clocks are read by base/clock.c' \
        base/clock.c $programs
    ban 'malloc|calloc|realloc|reallocarray|strdup|strndup' \
        'memory comes from base/mem.c' base/mem.c $programs
    ban 'rand|srand|random|srandom|drand48|rand_r' \
        'chance comes from a seed handed in' - $programs
    ban 'fork|vfork|system|popen' 'children are started with posix_spawn' \
        - $programs
    ban 'usleep|sleep' 'wait for something, with a deadline' - $programs
}
exit $failed
