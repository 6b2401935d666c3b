#!/bin/sh
# 20-worker.sh - the worker alone, between a fake broker and the test upstream
#
# BIN is the directory of the built programs. The cases are functions of
# tests/worker_cases.py; names given as arguments choose some of them.
# SPDX-License-Identifier: MIT
set -u

: "${BIN:?the directory of the built programs}"
cases=$(dirname "$0")/../worker_cases.py

# Debian's pyzmq belongs to Debian's python, which need not be the first one.
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import zmq' 2>/dev/null; then
        PYTHONDONTWRITEBYTECODE=1 exec "$python" "$cases" "$BIN" "$@"
    fi
done
echo "20-worker.sh: no python3 with zmq (Debian: python3-zmq)" >&2
exit 1
