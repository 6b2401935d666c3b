#!/bin/sh
# 24-hooks.sh - the worker carries events to webhooks, between a fake broker and
# receivers
#
# BIN is the directory of the built programs. The cases are functions of
# tests/webhook_cases.py; names given as arguments choose some of them.
# SPDX-License-Identifier: MIT
set -u

: "${BIN:?the directory of the built programs}"
cases=$(dirname "$0")/../webhook_cases.py

# Debian's pyzmq belongs to Debian's python, which need not be the first one.
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import zmq' 2>/dev/null; then
        PYTHONDONTWRITEBYTECODE=1 exec "$python" "$cases" "$BIN" "$@"
    fi
done
echo "24-hooks.sh: no python3 with zmq (Debian: python3-zmq)" >&2
exit 1
