#!/bin/sh
# 23-dns.sh - a name server that never answers holds up nothing else
#
# In network and mount namespaces of its own, the name server is a socket on
# 127.0.0.1 that nobody reads. BIN is the directory of the built programs. The
# cases are functions of tests/dns_cases.py; names given as arguments choose
# some of them.
# SPDX-License-Identifier: MIT
set -u

: "${BIN:?the directory of the built programs}"
here=$(dirname "$0")

# Debian's pyzmq belongs to Debian's python, which need not be the first one.
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import zmq' 2>/dev/null; then
        PYTHONDONTWRITEBYTECODE=1 sh "$here/nameless.sh" \
            "$python" "$here/../dns_cases.py" "$BIN" "$@"
        code=$?
        [ $code -eq 77 ] || exit $code
        echo "23-dns.sh: skipped"
        exit 0
    fi
done
echo "23-dns.sh: no python3 with zmq (Debian: python3-zmq)" >&2
exit 1
