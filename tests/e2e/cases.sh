# cases.sh - runs cases of the worker, which are functions of a file of Python
#
# Sourced by the scripts that are named for them. BIN is the directory of the
# built programs; names given as arguments choose some of the cases.
# SPDX-License-Identifier: MIT
# shellcheck shell=sh

: "${BIN:?the directory of the built programs}"
here=$(dirname "$0")
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE

# Debian's pyzmq belongs to Debian's python, which need not be the first one.
for python in python3 /usr/bin/python3 none; do
    "$python" -c 'import zmq' 2>/dev/null && break
done
[ "$python" != none ] || {
    echo "$(basename "$0"): no python3 with zmq (Debian: python3-zmq)" >&2
    exit 1
}

run_cases() { # FILE CASE…
    file=$here/../$1
    shift
    exec "$python" "$file" "$BIN" "$@"
}
