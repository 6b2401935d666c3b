#!/bin/sh
# 82-full-files.sh - files on a disk of 16 MiB that fills up
#
# full.py does it: at the soft limit new files and batches are refused, at the
# hard one parts of files are, and a batch that is read from a file waits, as
# those do whose files are to be made, without keeping the broker busy. All goes
# on when files were deleted.
# SPDX-License-Identifier: MIT
set -u

# A file system of its own, which nobody else sees.
if [ -z "${FULL_MOUNTED-}" ] && unshare -m true 2>/dev/null; then
    FULL_MOUNTED=1 exec unshare -m sh "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

fill_up() { # FILE
    dd if=/dev/zero of="disk/$1" bs=4k 2>dd.log
    contains "$(cat dd.log)" 'No space left' 'what is left of the disk'
}

mkdir disk
mount -t tmpfs -o size=16m,mode=700 tmpfs disk 2>/dev/null || {
    say 'skipped: a file system cannot be mounted here'
    exit 0
}
trap 'code=$?; umount -l "$work/disk"; (exit $code); clean_up' EXIT

head -c 20000 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >long
printf '{"choices":[{"message":{"role":"assistant","content":"%s"}}]}' \
    "$(cat long)" >reply.json
echo 'match="one " until=go file=reply.json' >large.script
start_upstream --script large.script
"$python" "$here/full.py" disk sheaf.conf go || fail "see above"
"$BIN/sheafd" --store disk/store --config sheaf.conf --verify >verified 2>&1 ||
    fail "the store: $(cat verified)"

# Nothing is left: what cannot be done says so, and harms nothing.
fill_up ballast
"$BIN/sheafd" --store disk/store --config sheaf.conf --compact 2>err
equal $? 6 'exit code of --compact on a full disk'
contains "$(cat err)" 'No space left' 'why there is no room to compact'
store=disk/store
start_broker
run_sheaf 0 list --client alice
contains "$(cat out)" finished 'what a broker shows that starts on a full disk'
stop_broker
rm disk/store/lock.mdb
fill_up ballast2
"$BIN/sheafd" --store disk/store --config sheaf.conf 2>err
equal $? 6 'exit code of sheafd without room for its locks'
contains "$(cat err)" 'lock.mdb: No space left' 'why it does not start'
rm disk/ballast disk/ballast2
"$BIN/sheafd" --store disk/store --config sheaf.conf --verify >verified 2>&1 ||
    fail "the store: $(cat verified)"
stop_upstream
say 'a full disk kept no file back for good'
