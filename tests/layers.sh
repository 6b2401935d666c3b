#!/bin/sh
# layers.sh - fails when a folder includes what its layer may not know
#
# A row of the first table: a folder, and the beginnings of the project's
# headers that it may include. Of the second: a library's headers, and the
# files that may include them; for all others that library does not exist.
# SPDX-License-Identifier: MIT
set -u

layers='
base    base/
store   base/ store/
queue   base/ store/ queue/
worker  base/ queue/wire.h queue/link.h queue/last_words.h worker/
submit  base/ queue/wire.h queue/link.h submit/
'
libraries='
lmdb.h        store/lmdb
zmq.h         queue/link.c
curl/         worker/
microhttpd.h  submit/http_server.c tests/upstream
openssl/      base/digest.c
xxhash.h      base/digest.c
unicode/      base/text.c queue/window.c tests/
ini.h         base/conf.c
zstd.h        base/pack.c
cjson/        queue/ worker/ submit/ tests/
uuid/         queue/ worker/ submit/ tests/
'

grep -nE '^[[:space:]]*#[[:space:]]*include' \
    base/*.[ch] store/*.[ch] queue/*.[ch] worker/*.[ch] submit/*.[ch] \
    tests/*.[ch] | awk -F: -v layers="$layers" -v libraries="$libraries" '
    function begins_with_one_of(text, list,    i, count, starts) {
        count = split(list, starts, " ")
        for (i = 1; i <= count; i++) {
            if (index(text, starts[i]) == 1)
                return 1
        }
        return 0
    }
    function read_table(text, table,    i, count, rows, name) {
        count = split(text, rows, "\n")
        for (i = 1; i <= count; i++) {
            name = rows[i]
            sub(/ .*/, "", name)
            if (name != "")
                table[name] = substr(rows[i], length(name) + 1)
        }
    }
    BEGIN {
        read_table(layers, allowed)
        read_table(libraries, users)
    }
    {
        file = $1
        folder = file
        sub(/\/.*/, "", folder)
        match($0, /[<"][^>"]*/)
        header = substr($0, RSTART + 1, RLENGTH - 1)
        if (substr($0, RSTART, 1) == "\"") {
            is_wrong = folder in allowed &&
                !begins_with_one_of(header, allowed[folder])
        } else {
            is_wrong = 0
            for (library in users) {
                if (index(header, library) == 1)
                    is_wrong = !begins_with_one_of(file, users[library])
            }
        }
        if (is_wrong) {
            printf "%s:%s: may not include %s\n", file, $2, header
            failed = 1
        }
    }
    END {
        if (NR == 0)
            print "layers.sh: no include was found"
        exit failed || NR == 0
    }'
