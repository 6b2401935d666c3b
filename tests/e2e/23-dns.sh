#!/bin/sh
# 23-dns.sh - a name server that never answers holds up nothing else
#
# In network and mount namespaces of its own, the name server is a socket on
# 127.0.0.1 that nobody reads.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/cases.sh"

sh "$here/nameless.sh" "$python" "$here/../dns_cases.py" "$BIN" "$@"
code=$?
[ $code -eq 77 ] || exit $code
echo "23-dns.sh: skipped"
