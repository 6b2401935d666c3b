#!/bin/sh
# nameless.sh - runs a command in namespaces where 127.0.0.1 is the name server
#
#   nameless.sh COMMAND…
#
# Nothing listens there yet, and the network has nothing else, not even a
# loopback that is up: see ../silence.py. Exit code 77, and nothing was run, if
# namespaces are not permitted here.
# SPDX-License-Identifier: MIT
set -u

work=$(mktemp -d "${TMPDIR:-/tmp}/n.XXXXXX") || exit 1
echo 'nameserver 127.0.0.1' >"$work/resolv.conf"
echo 'hosts: files dns' >"$work/nsswitch.conf"
# The files stay mounted when their names are gone.
# shellcheck disable=SC2016  # it is for the inner shell
inner='mount --bind "$1/resolv.conf" /etc/resolv.conf &&
    mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf && rm -rf "$1"'

for as_user in '' -r; do
    # shellcheck disable=SC2086  # one word or none
    if unshare $as_user -n -m true 2>/dev/null; then
        exec unshare $as_user -n -m sh -c "$inner"' && shift && exec "$@"' \
            sh "$work" "$@"
    fi
done
rm -rf "$work"
echo "${0##*/}: namespaces are not permitted here (unshare -n -m)" >&2
exit 77
