/*
 * drive_postgres.c - puts rows into a table of PostgreSQL, and takes them
 *
 * put: COPY, --window rows a transaction; with a window of 1, an INSERT. take:
 * so many rows that nobody else has locked are claimed, and their results of
 * --bytes stored, in one transaction. schema: makes the table. TARGET is a
 * connection string.
 */
/* SPDX-License-Identifier: MIT */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/bench/drive.h"

#define NUMBER_BYTES 24

static PGconn *
connect_to(const struct drive *drive)
{
    PGconn *pg = PQconnectdb(drive->target);

    if (PQstatus(pg) != CONNECTION_OK)
        log_fatal("event=not_connected error=\"%s\"", PQerrorMessage(pg));
    return pg;
}

/* The answer must be of this kind. */
static PGresult *
check(PGconn *pg, PGresult *result, ExecStatusType wanted)
{
    if (PQresultStatus(result) != wanted)
        log_fatal("event=refused error=\"%s\"", PQerrorMessage(pg));
    return result;
}

static void
run(PGconn *pg, const char *sql)
{
    PQclear(check(pg, PQexec(pg, sql), PGRES_COMMAND_OK));
}

static void
run_schema(struct drive_client *client)
{
    PGconn *pg = connect_to(client->drive);

    drive_ready(client);
    run(pg, "DROP TABLE IF EXISTS jobs");
    run(pg, "CREATE TABLE jobs (id bigserial PRIMARY KEY, state smallint "
            "NOT NULL DEFAULT 0, payload text NOT NULL, result text)");
    run(pg, "CREATE INDEX ready ON jobs (id) WHERE state = 0");
    PQfinish(pg);
}

/* In COPY's text format a backslash is doubled. */
static void
add_row(const struct buf *item, struct buf *out)
{
    buf_reset(out);
    for (size_t i = 0; i < item->bytes; i++) {
        if (item->data[i] == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, item->data[i]);
    }
    buf_add_char(out, '\n');
}

static void
copy(PGconn *pg, struct drive_client *client, int64_t done, int64_t count)
{
    struct buf item = { 0 }, row = { 0 };

    PQclear(
        check(pg, PQexec(pg, "COPY jobs (payload) FROM STDIN"), PGRES_COPY_IN));
    for (int64_t i = 0; i < count; i++) {
        drive_item(client, done + i, &item);
        add_row(&item, &row);
        if (PQputCopyData(pg, row.data, (int)row.bytes) != 1)
            log_fatal("event=not_sent error=\"%s\"", PQerrorMessage(pg));
    }
    if (PQputCopyEnd(pg, NULL) != 1)
        log_fatal("event=not_sent error=\"%s\"", PQerrorMessage(pg));
    PQclear(check(pg, PQgetResult(pg), PGRES_COMMAND_OK));
    PQclear(PQgetResult(pg)); /* NULL: that was all */
    buf_fini(&item);
    buf_fini(&row);
}

static void
insert(PGconn *pg, struct drive_client *client, int64_t done)
{
    struct buf item = { 0 };
    const char *values[1];

    drive_item(client, done, &item);
    buf_add_char(&item, '\0');
    values[0] = item.data;
    PQclear(check(pg, PQexecPrepared(pg, "insert", 1, values, NULL, NULL, 0),
                  PGRES_COMMAND_OK));
    buf_fini(&item);
}

static void
run_put(struct drive_client *client)
{
    PGconn *pg = connect_to(client->drive);

    PQclear(check(pg,
                  PQprepare(pg, "insert",
                            "INSERT INTO jobs (payload) VALUES ($1)", 1, NULL),
                  PGRES_COMMAND_OK));
    drive_ready(client);
    for (int64_t done = 0, count; done < client->count; done += count) {
        count = drive_next(client, done);
        if (client->drive->window == 1)
            insert(pg, client, done);
        else
            copy(pg, client, done, count);
    }
    PQfinish(pg);
}

/* The claimed ids and their results, as two arrays in PostgreSQL's text form. */
static void
make_results(struct drive_client *client, const PGresult *claimed,
             struct buf *ids, struct buf *results)
{
    struct buf reply = { 0 };
    struct slice text;

    buf_reset(ids);
    buf_reset(results);
    for (int i = 0; i < PQntuples(claimed); i++) {
        const char *id = PQgetvalue(claimed, i, 0);

        buf_addf(ids, "%c%s", i ? ',' : '{', id);
        drive_result(client, strtoll(id, NULL, 10), &reply, &text);
        buf_addf(results, "%c\"", i ? ',' : '{');
        for (size_t at = 0; at < reply.bytes; at++) {
            if (reply.data[at] == '"' || reply.data[at] == '\\')
                buf_add_char(results, '\\');
            buf_add_char(results, reply.data[at]);
        }
        buf_add_char(results, '"');
    }
    buf_add(ids, "}", 2); /* with its NUL */
    buf_add(results, "}", 2);
    buf_fini(&reply);
}

static void
run_take(struct drive_client *client)
{
    const struct drive *drive = client->drive;
    PGconn *pg = connect_to(drive);
    struct buf ids = { 0 }, results = { 0 };
    const char *values[2];
    char window[NUMBER_BYTES];

    PQclear(check(
        pg,
        PQprepare(pg, "claim",
                  "SELECT id, payload FROM jobs WHERE state = 0 ORDER BY id "
                  "LIMIT $1::bigint FOR UPDATE SKIP LOCKED",
                  1, NULL),
        PGRES_COMMAND_OK));
    PQclear(
        check(pg,
              PQprepare(pg, "finish",
                        "UPDATE jobs SET state = 1, result = done.result FROM "
                        "unnest($1::bigint[], $2::text[]) AS done (id, result) "
                        "WHERE jobs.id = done.id",
                        2, NULL),
              PGRES_COMMAND_OK));
    drive_ready(client);
    for (int64_t done = 0, count; done < client->count; done += count) {
        PGresult *claimed;

        run(pg, "BEGIN");
        (void)snprintf(window, sizeof(window), "%lld",
                       (long long)drive_next(client, done));
        values[0] = window;
        claimed =
            check(pg, PQexecPrepared(pg, "claim", 1, values, NULL, NULL, 0),
                  PGRES_TUPLES_OK);
        count = PQntuples(claimed);
        if (count == 0)
            log_fatal("event=nothing_left");
        make_results(client, claimed, &ids, &results);
        PQclear(claimed);
        values[0] = ids.data;
        values[1] = results.data;
        PQclear(check(pg,
                      PQexecPrepared(pg, "finish", 2, values, NULL, NULL, 0),
                      PGRES_COMMAND_OK));
        run(pg, "COMMIT");
    }
    PQfinish(pg);
    buf_fini(&ids);
    buf_fini(&results);
}

int
main(int argc, char **argv)
{
    static const struct drive_verb verbs[] = { { "schema", run_schema },
                                               { "put", run_put },
                                               { "take", run_take },
                                               { NULL, NULL } };

    return drive_main(argc, argv, verbs);
}
