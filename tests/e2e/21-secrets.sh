#!/bin/sh
# 21-secrets.sh - the worker's credentials: where they go, and where they don't
#
# BIN is the directory of the built programs. The cases are functions of
# tests/secret_cases.py; names given as arguments choose some of them.
# SPDX-License-Identifier: MIT
set -u

: "${BIN:?the directory of the built programs}"
cases=$(dirname "$0")/../secret_cases.py

# Debian's pyzmq belongs to Debian's python, which need not be the first one.
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import zmq' 2>/dev/null; then
        PYTHONDONTWRITEBYTECODE=1 exec "$python" "$cases" "$BIN" "$@"
    fi
done
echo "21-secrets.sh: no python3 with zmq (Debian: python3-zmq)" >&2
exit 1
