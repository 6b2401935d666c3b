#!/bin/sh
# 18-load.sh - sheaf-load tells a deployment that holds its levels from others
#
# The same load on an upstream that is quick, slow, or fails, or does not answer:
# what is missed has its name, and decides the exit code.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

"$BIN/sheaf-load" --help >help || fail 'exit code of sheaf-load --help'
for option in users rate duplicates broker config json; do
    grep -q -- "--$option" help || fail "sheaf-load --help: no --$option"
done
"$BIN/sheaf-load" --frobnicate 2>err
equal $? 2 'exit code of an option that there is not'
contains "$(cat err)" 'see sheaf-load --help' 'what is said of it'

# Far from what any machine takes, but for the upstream that is slow by rule.
lenient="--set t1_ms=20000 --set t2_ms=30000 --set t3_ms=40000 --set t4_ms=50000"
strict="--set t1_ms=50 --set t2_ms=100 --set t3_ms=200 --set t4_ms=50000"
levels=$lenient
start_with() { # OPTION… of the upstream
    start_upstream "$@"
    # shellcheck disable=SC2086
    start_broker $levels --set slots_max=50 --set group_window_ms=0 \
        --set attempts_max=1
}

stop_all() {
    stop_broker
    stop_upstream
    rm -rf store
}

load() { # EXIT_CODE OPTION…
    wanted=$1
    shift
    # shellcheck disable=SC2086
    "$BIN/sheaf-load" --config sheaf.conf $levels --users 10 --requests 4 \
        --seed 7 --poll 10 --json "$@" >out 2>load.err
    equal $? "$wanted" "exit code of sheaf-load $*
$(cat out)"
}

# A member of the report, or what is wanted of a level.
report() { # PATH
    "$python" -c '
import json, sys
value = json.load(open("out"))
for name in sys.argv[1].split("."):
    if isinstance(value, list):
        value = next(item for item in value if item["level"] == name)
    else:
        value = value[name]
print(json.dumps(value))' "$1"
}

start_with
load 0 --duplicates 50
equal "$(report met)" true "a quick upstream, the whole"
for level in hit_rate error_rate latency_p50 latency_p95 fallbacks answered; do
    case $(report "levels.$level.held") in
    true) ;;
    null) at_most "$(report "levels.$level.samples")" 19 "not judged: $level" ;;
    *) fail "a quick upstream, $level: $(cat out)" ;;
    esac
done
equal "$(report answered)" 40 "results fetched"
equal "$(report statuses.ok)" 40 "results that are answers"
equal "$(($(report answers_from.none) + $(report answers_from.memory) + \
    $(report answers_from.store) + $(report answers_from.joined)))" 40 "tiers"
equal "$(report calls.count)" "$(report answers_from.none)" "calls"
equal "$(figure calls)" "$(report answers_from.none)" "calls, upstream"
# Nothing is ever the same: it misses what the cache was to give.
load 1 --duplicates 0 --seed 8
equal "$(report levels.hit_rate.held)" false "hit rate without repetitions"
# Texts of a file, whatever is in them: two, and so two calls.
printf '%s\n' 'say "this" and \that' 'or say 繁' >texts
forget_calls
load 0 --texts texts --goal Repeat
equal "$(report statuses.ok)" 40 "results of texts that were given"
equal "$(figure distinct)" 2 "different calls for two texts"
# What is refused is not lost sight of, and has its reason.
printf 'a\0b\n' >texts
load 1 --texts texts --requests 1
equal "$(report accepted)" 0 "drafts with a NUL"
contains "$(cat out)" '"refusal":"' "why drafts were refused"
# Late ones count from when they were due: 40 at 20 a second.
load 0 --duplicates 50 --seed 9 --rate 20
[ "$(report elapsed_ms)" -ge 1900 ] || fail "faster than its rate: $(cat out)"
stop_all

levels=$strict
start_with --latency-ms 400
load 1 --duplicates 30 --timeout 20
equal "$(report levels.latency_p50.held)" false "p50 of a slow upstream"
equal "$(report levels.latency_p95.held)" false "p95 of a slow upstream"
equal "$(report calls.above_t3)" "$(report calls.count)" "calls above t3"
equal "$(report calls.above_t4)" 0 "calls above t4"
[ "$(report times_ms.answer.p50)" -ge 400 ] || fail "quicker than the upstream"
stop_all

levels=$lenient
printf 'status=422\n' >faults
start_with --script faults
load 1 --duplicates 30 --timeout 20
equal "$(report levels.error_rate.held)" false "calls that fail"
equal "$(report levels.fallbacks.held)" false "results that are no answers"
equal "$(report statuses.unprocessable)" 40 "results by status"
stop_all

printf 'action=hang\n' >faults
start_with --script faults
load 1 --requests 1 --timeout 1 --duplicates 0
equal "$(report levels.answered.held)" false "results that did not come"
equal "$(report unanswered)" 10 "results that did not come"
equal "$(report levels.hit_rate.held)" null "too few to judge"
stop_all

"$BIN/sheaf-load" --config sheaf.conf --broker ipc:///nowhere/at/all \
    >out 2>load.err
equal $? 5 "exit code without a broker"
"$BIN/sheaf-load" --rate -1 >out 2>load.err
equal $? 2 "exit code of a rate that is none"
say "quick, slow, failing, silent"
