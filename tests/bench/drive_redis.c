/*
 * drive_redis.c - puts items into a stream of Redis, and takes them
 *
 * put: --window XADDs are written before their answers are read. multi: they
 * are one transaction. take: so many are read for a consumer; for each a result
 * of --bytes is stored, it is acknowledged and deleted, and all of that is
 * written before the answers are read. take-multi: in one transaction. TARGET is
 * the path of its socket.
 */
/* SPDX-License-Identifier: MIT */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "tests/bench/drive.h"

#define ID_BYTES 64

static redisContext *
connect_to(const struct drive *drive)
{
    redisContext *redis = redisConnectUnix(drive->target);

    if (!redis || redis->err) {
        log_fatal("event=not_connected path=%s error=\"%s\"", drive->target,
                  redis ? redis->errstr : "no memory");
    }
    return redis;
}

/* The next answer, which must be none that says it failed. Freed by the
 * caller. */
static redisReply *
next_reply(redisContext *redis)
{
    void *answer = NULL;
    redisReply *reply;

    if (redisGetReply(redis, &answer) != REDIS_OK)
        log_fatal("event=no_answer error=\"%s\"", redis->errstr);
    reply = answer;
    if (reply->type == REDIS_REPLY_ERROR)
        log_fatal("event=refused error=\"%s\"", reply->str);
    /* A transaction is answered with the answers to its commands. */
    for (size_t i = 0; i < reply->elements; i++) {
        if (reply->element[i]->type == REDIS_REPLY_ERROR)
            log_fatal("event=refused error=\"%s\"", reply->element[i]->str);
    }
    return reply;
}

static void
pass_replies(redisContext *redis, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        freeReplyObject(next_reply(redis));
}

static void
put(struct drive_client *client, bool is_transaction)
{
    const struct drive *drive = client->drive;
    redisContext *redis = connect_to(drive);
    struct buf item = { 0 };

    drive_ready(client);
    for (int64_t done = 0, count; done < client->count; done += count) {
        count = drive_next(client, done);
        if (is_transaction)
            redisAppendCommand(redis, "MULTI");
        for (int64_t i = 0; i < count; i++) {
            drive_item(client, done + i, &item);
            redisAppendCommand(redis, "XADD jobs * d %b", item.data,
                               item.bytes);
        }
        if (is_transaction)
            redisAppendCommand(redis, "EXEC");
        pass_replies(redis, is_transaction ? count + 2 : count);
    }
    redisFree(redis);
    buf_fini(&item);
}

static void
run_put(struct drive_client *client)
{
    put(client, false);
}

static void
run_multi(struct drive_client *client)
{
    put(client, true);
}

/* Reads up to `count` items for the consumer; the ids go to a list. */
static int64_t
read_items(redisContext *redis, int number, int64_t count,
           char (*ids)[ID_BYTES])
{
    redisReply *reply, *items;
    size_t found;

    redisAppendCommand(redis,
                       "XREADGROUP GROUP workers c%d COUNT %lld STREAMS jobs >",
                       number, (long long)count);
    reply = next_reply(redis);
    if (reply->type != REDIS_REPLY_ARRAY)
        log_fatal("event=nothing_left");
    items = reply->element[0]->element[1];
    found = items->elements;
    for (size_t i = 0; i < found; i++) {
        (void)snprintf(ids[i], ID_BYTES, "%s",
                       items->element[i]->element[0]->str);
    }
    freeReplyObject(reply);
    return (int64_t)found;
}

static void
take(struct drive_client *client, bool is_transaction)
{
    const struct drive *drive = client->drive;
    redisContext *redis = connect_to(drive);
    char(*ids)[ID_BYTES] = mem_zalloc((size_t)drive->window, ID_BYTES);
    struct buf result = { 0 };
    struct slice text;

    drive_ready(client);
    for (int64_t done = 0, count; done < client->count; done += count) {
        count =
            read_items(redis, client->number, drive_next(client, done), ids);
        if (is_transaction)
            redisAppendCommand(redis, "MULTI");
        for (int64_t i = 0; i < count; i++) {
            drive_result(client, client->first + done + i, &result, &text);
            redisAppendCommand(redis, "SET result:%s %b", ids[i], result.data,
                               result.bytes);
            redisAppendCommand(redis, "XACK jobs workers %s", ids[i]);
            redisAppendCommand(redis, "XDEL jobs %s", ids[i]);
        }
        if (is_transaction)
            redisAppendCommand(redis, "EXEC");
        pass_replies(redis, is_transaction ? 3 * count + 2 : 3 * count);
    }
    redisFree(redis);
    free(ids);
    buf_fini(&result);
}

static void
run_take(struct drive_client *client)
{
    take(client, false);
}

static void
run_take_multi(struct drive_client *client)
{
    take(client, true);
}

int
main(int argc, char **argv)
{
    static const struct drive_verb verbs[] = { { "put", run_put },
                                               { "multi", run_multi },
                                               { "take", run_take },
                                               { "take-multi", run_take_multi },
                                               { NULL, NULL } };

    return drive_main(argc, argv, verbs);
}
