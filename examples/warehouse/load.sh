#!/bin/sh
# load.sh - keep a table in step with all results of a broker
#
#   load.sh DIR             take what is new, once: for cron
#   load.sh DIR SECONDS     and again after so many seconds, for ever
#
# DIR/warehouse.db is a SQLite file with one row per draft, the last revision of
# its result. It may be killed at any moment and started again:
#
#   1. `sheaf export` writes what is new to DIR/page, which appears when it is
#      complete, and only then moves the cursor in DIR/cursor;
#   2. the page is loaded in one transaction, and only then removed.
#
# So between two deaths a page may be loaded twice, and none is left out; and
# twice is once, as rows are upserted on (batch, custom_id) and only a greater
# `seq` replaces what is there. Any database with an upsert does the same.
# SPDX-License-Identifier: MIT
set -eu

[ $# -eq 1 ] || [ $# -eq 2 ] || {
    echo 'usage: load.sh DIR [SECONDS]' >&2
    exit 2
}
mkdir -p "$1"
cd "$1"

# One loader at a time. The lock goes on to the programs started below, so that
# what a killed loader left running ends before the next one begins.
exec 9>lock
flock 9

load() {
    sqlite3 -bail warehouse.db <<'SQL'
.timeout 60000
CREATE TABLE IF NOT EXISTS results (
    batch TEXT, custom_id TEXT, seq INTEGER, revision INTEGER, status TEXT,
    text TEXT, essence TEXT, error_code TEXT, model TEXT, total_tokens INTEGER,
    cost_usd REAL, completed_at TEXT,
    PRIMARY KEY (batch, custom_id)
);
CREATE TEMP TABLE page (line TEXT);
.mode ascii
.separator "\037" "\n"
.import page page
INSERT INTO results
SELECT line ->> 'batch', line ->> 'custom_id', line ->> 'seq',
    line ->> 'revision', line ->> 'status', line ->> 'text',
    line ->> 'essence', line ->> '$.error.code', line ->> 'model',
    line ->> '$.usage.total_tokens', line ->> 'cost_usd',
    line ->> 'completed_at'
FROM page WHERE true
ON CONFLICT (batch, custom_id) DO UPDATE SET
    seq = excluded.seq, revision = excluded.revision, status = excluded.status,
    text = excluded.text, essence = excluded.essence,
    error_code = excluded.error_code, model = excluded.model,
    total_tokens = excluded.total_tokens, cost_usd = excluded.cost_usd,
    completed_at = excluded.completed_at
WHERE excluded.seq > results.seq;
SQL
}

while :; do
    if [ -e page ]; then
        load
        rm page
    fi
    code=0
    sheaf export --cursor-file cursor -o page || code=$?
    case $code in
    0) load && rm page ;;
    5 | 6) [ $# -eq 2 ] || exit "$code" ;; # the broker is away: later
    *) exit "$code" ;;
    esac
    [ $# -eq 2 ] || exit 0
    sleep "$2"
done
