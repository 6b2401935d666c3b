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
cases=$(dirname "$0")/../dns_cases.py
work=$(mktemp -d "${TMPDIR:-/tmp}/d.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

echo 'nameserver 127.0.0.1' >"$work/resolv.conf"
echo 'hosts: files dns' >"$work/nsswitch.conf"
# shellcheck disable=SC2016  # it is for the inner shell
inner='mount --bind "$1/resolv.conf" /etc/resolv.conf &&
    mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf'

for as_user in '' -r; do
    # shellcheck disable=SC2086  # one word or none
    if unshare $as_user -n -m sh -c "$inner" sh "$work" 2>/dev/null; then
        break
    fi
    [ -z "$as_user" ] || {
        echo "23-dns.sh: skipped: namespaces are not permitted here" \
            "(unshare -n -m)"
        exit 0
    }
done

# Debian's pyzmq belongs to Debian's python, which need not be the first one.
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import zmq' 2>/dev/null; then
        # shellcheck disable=SC2086
        PYTHONDONTWRITEBYTECODE=1 unshare $as_user -n -m sh -c \
            "$inner"' && shift && exec "$@"' sh "$work" \
            "$python" "$cases" "$BIN" "$@"
        exit
    fi
done
echo "23-dns.sh: no python3 with zmq (Debian: python3-zmq)" >&2
exit 1
