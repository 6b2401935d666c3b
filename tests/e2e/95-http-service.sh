#!/bin/sh
# 95-http-service.sh - examples/sheaf-http.service fits the gateway
#
# What systemd would start is started, with what it would forbid counted where
# that can be seen from here.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

SAN=${SAN-}
sed "s|/usr/local/bin|$BIN|" "$examples/sheaf-http.service" >sheaf-http.service

setting() { # NAME
    sed -n "s/^$1=//p" sheaf-http.service
}

# The system calls of a set, with those of the sets that it names.
calls_of() { # @SET
    systemd-analyze syscall-filter "$1" | sed 's/^ *//; /^#/d; 1d' |
        while read -r word; do
            case $word in
            @*) calls_of "$word" ;;
            *) echo "$word" ;;
            esac
        done
}

find_allowed() {
    setting SystemCallFilter | while read -r set; do
        case $set in @*) calls_of "$set" ;; esac
    done | sort -u >all
    setting SystemCallFilter | while read -r set; do
        case $set in ~*) calls_of "${set#?}" ;; esac
    done | sort -u | comm -23 all - >allowed
}

command=$(setting ExecStart |
    sed "s|%t|$XDG_RUNTIME_DIR|; s|/etc/sheaf|$work|")

# shellcheck disable=SC2086 # systemd splits it, too
$command 2>none.err
code_usage=$?
sheaf-http --new-token alice >token
tail -n 1 token >tokens
chmod 600 tokens
start_upstream
start_broker --set route=local

tracer=
if command -v systemd-analyze >/dev/null; then
    equal "$(systemd-analyze verify --man=no ./sheaf-http.service 2>&1 |
        grep -v sheafd.service)" "" "what systemd finds wrong"
    find_allowed
    # Under a sanitizer there are more system calls, and strace cannot be used.
    if [ -z "$SAN" ] && command -v strace >/dev/null; then
        tracer="strace -f -o trace"
    fi
fi
# shellcheck disable=SC2086 # the ports of the unit may be taken here
$tracer $command --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 >out \
    2>gateway.err &
pid=$!
until_true 10 grep -q '^metrics-listen ' out
api=$(sed -n 's/^listen //p' out)
until_true 10 curl -sf -o ready "$(sed -n 's/^metrics-listen //p' out)/readyz"
equal "$(curl -s -o answer -w '%{http_code}' "$api/v1/chat/completions" \
    -H "Authorization: Bearer $(head -n 1 token)" \
    -H 'Content-Type: application/json' \
    -d '{"model":"m","messages":[{"role":"user","content":"x"}]}')" 200 \
    "status of a completion"
equal "$(curl -s -o answer -w '%{http_code}' "$api/v1/embeddings" \
    -H "Authorization: Bearer $(head -n 1 token)" \
    -H 'Content-Type: application/json' -d '{"model":"m","input":"x"}')" 400 \
    "status of what the sampler does not serve"
contains "$(cat answer)" '"message":"url: the local upstream serves only' \
    "what is said of it"
# shellcheck disable=SC2086
$command --listen "${api#http://}" --metrics-listen 127.0.0.1:0 2>taken.err
code_taken=$?
gateway=$pid
[ -z "$tracer" ] || gateway=$(pgrep -P $pid)
kill "$gateway"
wait $pid
equal $? 0 "exit code after SIGTERM"
if [ -n "$tracer" ]; then
    sed -n 's/^[0-9]* *\([a-z][a-z0-9_]*\)(.*/\1/p' trace | sort -u >made
    equal "$(grep -cE '^(epoll_wait|sendto|recvfrom|accept4|mmap)$' made)" 5 \
        "system calls of a gateway that were seen"
    equal "$(comm -13 allowed made | tr '\n' ' ')" "" \
        "system calls that the unit forbids"
fi
equal "$(setting RestartPreventExitStatus)" "$code_usage $code_taken" \
    "exit codes after which another start does not help"
stop_broker
stop_upstream
say "the unit starts a gateway that works"
