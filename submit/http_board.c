/* SPDX-License-Identifier: MIT */
#include "submit/http_board.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "submit/http_gateway.h"
#include "submit/http_history.h"

#define UUID_BYTES 37

/* What the overview is made of, each a verb. */
enum part { PART_STATS, PART_UPSTREAMS, PART_ALERTS, PART_COUNT };

static const char *const part_names[PART_COUNT] = {
    [PART_STATS] = "stats",
    [PART_UPSTREAMS] = "upstreams",
    [PART_ALERTS] = "alerts",
};

/* A batch as it was last told. */
struct entry {
    char uuid[UUID_BYTES];
    char *text;      /* an object */
    uint64_t number; /* when it changed */
};

struct http_view {
    struct http_view *next;
    struct http_board *board; /* borrowed: lives longer */
    char *client;             /* NULL: all of them */
    size_t readers;
    struct http_question *question;
    struct entry entries[HTTP_BOARD_BATCHES_MAX]; /* newest first */
    size_t count;
    bool has_more;
    uint64_t order_number; /* when one came or went; 0: nothing is known */
    uint64_t number;       /* when anything changed */
};

/* A question for a part, while it is open. */
struct pending {
    struct http_board *board;
    enum part part;
    struct http_question *question;
};

struct http_board {
    struct gateway *gateway; /* borrowed: lives longer */
    struct http_history *history;
    struct http_view *views;
    struct pending pending[PART_COUNT];
    cJSON *parts[PART_COUNT]; /* as they were last told */
    struct buf overview;
    uint64_t overview_number;
    uint64_t number; /* of the latest change */
    int64_t ask_ms, sample_ms;
    bool was_up;
};

struct http_board *
http_board_new(struct gateway *gateway)
{
    struct http_board *board = mem_zalloc(1, sizeof(*board));

    board->gateway = gateway;
    board->history = http_history_new();
    for (int part = 0; part < PART_COUNT; part++)
        board->pending[part] =
            (struct pending){ .board = board, .part = (enum part)part };
    return board;
}

void
http_board_free(struct http_board *board)
{
    if (!board)
        return;
    assert(!board->views);
    for (int part = 0; part < PART_COUNT; part++) {
        if (board->pending[part].question)
            http_broker_forget(board->gateway->broker,
                               board->pending[part].question);
        cJSON_Delete(board->parts[part]);
    }
    http_history_free(board->history);
    buf_fini(&board->overview);
    free(board);
}

/* ---- the overview ---- */

/* Histograms are long, and drawn by nobody here. */
static void
drop_histograms(cJSON *stats)
{
    cJSON *item;

    cJSON_DeleteItemFromObjectCaseSensitive(stats, "bounds");
    cJSON_DeleteItemFromObjectCaseSensitive(stats, "commit_us");
    cJSON_DeleteItemFromObjectCaseSensitive(stats, "commit_items");
    cJSON_ArrayForEach(item,
                       cJSON_GetObjectItemCaseSensitive(stats, "upstreams"))
        cJSON_DeleteItemFromObjectCaseSensitive(item, "durations");
}

static void
write_overview(struct http_board *board)
{
    struct gateway *gateway = board->gateway;
    cJSON *overview = cJSON_CreateObject();

    board->was_up = http_broker_is_up(gateway->broker);
    wire_add_bool(overview, "up", board->was_up);
    wire_add_int(overview, "at", gateway->wall_ms);
    wire_add_str(overview, "version",
                 http_broker_welcome(gateway->broker)->version);
    wire_add_bool(overview, "draining",
                  http_broker_welcome(gateway->broker)->is_draining);
    for (int part = 0; part < PART_COUNT && board->was_up; part++) {
        if (board->parts[part])
            cJSON_AddItemReferenceToObject(overview, part_names[part],
                                           board->parts[part]);
    }
    buf_reset(&board->overview);
    wire_print(overview, &board->overview);
    board->overview_number = ++board->number;
}

static bool
is_waiting(const struct http_board *board)
{
    for (int part = 0; part < PART_COUNT; part++) {
        if (board->pending[part].question)
            return true;
    }
    return false;
}

/* A part has its answer, or none; behind the last one all of them are shown. */
static void
on_part(void *arg, const struct wire *wire, const struct err *err)
{
    struct pending *pending = arg;
    struct http_board *board = pending->board;
    const char *name = part_names[pending->part];
    int64_t now_ms = board->gateway->now_ms;

    (void)err;
    pending->question = NULL;
    if (wire) {
        cJSON_Delete(board->parts[pending->part]);
        board->parts[pending->part] =
            cJSON_DetachItemFromObjectCaseSensitive(wire->head, name);
    }
    if (wire && pending->part == PART_STATS) {
        if (now_ms >= board->sample_ms) {
            http_history_add(board->history, board->parts[PART_STATS],
                             board->gateway->wall_ms);
            board->sample_ms = now_ms + HTTP_HISTORY_MS;
        }
        drop_histograms(board->parts[PART_STATS]);
    }
    if (!is_waiting(board))
        write_overview(board);
}

static void
ask_part(struct http_board *board, enum part part)
{
    struct pending *pending = &board->pending[part];
    struct http_ask ask = { .head = wire_new(part_names[part]),
                            .answer_ms = HTTP_BOARD_ANSWER_MS,
                            .answer = on_part,
                            .arg = pending };

    pending->question = http_broker_ask(board->gateway->broker, &ask,
                                        board->gateway->now_ms, NULL);
}

/* ---- views ---- */

static struct entry *
find_entry(struct http_view *view, const char *uuid)
{
    for (size_t i = 0; i < view->count; i++) {
        if (strcmp(view->entries[i].uuid, uuid) == 0)
            return &view->entries[i];
    }
    return NULL;
}

/* Makes an entry of what is told; keeps the number if nothing has changed. */
static struct entry
make_entry(struct http_view *view, const cJSON *item, const char *uuid)
{
    const struct entry *before = find_entry(view, uuid);
    struct entry entry = { .number = view->board->number + 1 };
    struct buf text = { 0 };

    wire_print(cJSON_Duplicate(item, true), &text);
    entry.text = buf_take(&text);
    memcpy(entry.uuid, uuid, strlen(uuid) + 1);
    if (before && strcmp(before->text, entry.text) == 0)
        entry.number = before->number;
    return entry;
}

static void
replace_entries(struct http_view *view, const struct entry *entries,
                size_t count)
{
    bool is_same = view->order_number > 0 && count == view->count;

    for (size_t i = 0; is_same && i < count; i++)
        is_same = strcmp(entries[i].uuid, view->entries[i].uuid) == 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].number > view->board->number)
            view->number = entries[i].number;
    }
    if (!is_same)
        view->order_number = view->number = view->board->number + 1;
    if (view->number > view->board->number)
        view->board->number = view->number;
    for (size_t i = 0; i < view->count; i++)
        free(view->entries[i].text);
    memcpy(view->entries, entries, count * sizeof(entries[0]));
    view->count = count;
}

static void
on_list(void *arg, const struct wire *wire, const struct err *err)
{
    struct http_view *view = arg;
    struct entry entries[HTTP_BOARD_BATCHES_MAX];
    size_t count = 0;
    const cJSON *item;

    (void)err;
    view->question = NULL;
    if (!wire) /* what was known stays; the overview tells that it is old */
        return;
    cJSON_ArrayForEach(item, wire_get(wire, "batches"))
    {
        const char *uuid = cJSON_GetStringValue(
            cJSON_GetObjectItemCaseSensitive(item, "batch"));

        if (uuid && strlen(uuid) < UUID_BYTES && count < HTTP_BOARD_BATCHES_MAX)
            entries[count++] = make_entry(view, item, uuid);
    }
    view->has_more = cJSON_IsTrue(wire_get(wire, "more"));
    replace_entries(view, entries, count);
}

static void
ask_list(struct http_view *view)
{
    struct gateway *gateway = view->board->gateway;
    struct http_ask ask = { .head = wire_new("list"),
                            .answer_ms = HTTP_BOARD_ANSWER_MS,
                            .answer = on_list,
                            .arg = view };

    wire_add_int(ask.head, "limit", HTTP_BOARD_BATCHES_MAX);
    if (view->client)
        wire_add_str(ask.head, "client", view->client);
    view->question =
        http_broker_ask(gateway->broker, &ask, gateway->now_ms, NULL);
}

static bool
is_of(const struct http_view *view, const char *client)
{
    return client ? view->client && strcmp(view->client, client) == 0
                  : !view->client;
}

struct http_view *
http_board_enter(struct http_board *board, const char *client)
{
    struct http_view *view = board->views;

    while (view && !is_of(view, client))
        view = view->next;
    if (!view) {
        view = mem_zalloc(1, sizeof(*view));
        view->board = board;
        view->client = mem_dup_str(client);
        view->next = board->views;
        board->views = view;
        board->ask_ms = board->gateway->now_ms;
    }
    view->readers++;
    return view;
}

void
http_board_leave(struct http_board *board, struct http_view *view)
{
    struct http_view **place = &board->views;

    if (--view->readers > 0)
        return;
    while (*place != view)
        place = &(*place)->next;
    *place = view->next;
    if (view->question)
        http_broker_forget(board->gateway->broker, view->question);
    for (size_t i = 0; i < view->count; i++)
        free(view->entries[i].text);
    free(view->client);
    free(view);
}

/* ---- turns ---- */

void
http_board_turn(struct http_board *board)
{
    const struct gateway *gateway = board->gateway;

    if (board->was_up != http_broker_is_up(gateway->broker))
        write_overview(board); /* nobody is to wait for the next answer */
    if (gateway->now_ms < http_board_next_ms(board))
        return;
    board->ask_ms = gateway->now_ms + HTTP_BOARD_MS;
    if (!is_waiting(board)) {
        ask_part(board, PART_STATS);
        for (int part = PART_STATS + 1; part < PART_COUNT && board->views;
             part++)
            ask_part(board, (enum part)part);
        if (!is_waiting(board)) {
            board->sample_ms = gateway->now_ms + HTTP_HISTORY_MS;
            write_overview(board); /* it is away */
        }
    }
    for (struct http_view *view = board->views; view; view = view->next) {
        if (!view->question)
            ask_list(view);
    }
}

int64_t
http_board_next_ms(const struct http_board *board)
{
    if (board->views || board->ask_ms > board->sample_ms)
        return board->ask_ms;
    return board->sample_ms;
}

/* ---- readers ---- */

bool
http_board_has_news(const struct http_board *board,
                    const struct http_view *view,
                    const struct http_place_read *read)
{
    return board->overview_number > read->board || view->number > read->board ||
           http_history_last(board->history) > read->history;
}

static void
write_order(const struct http_view *view, struct buf *out)
{
    buf_addf(out, ",\"more\":%s,\"order\":[",
             view->has_more ? "true" : "false");
    for (size_t i = 0; i < view->count; i++)
        buf_addf(out, "%s\"%s\"", i ? "," : "", view->entries[i].uuid);
    buf_add_char(out, ']');
}

static void
write_batches(const struct http_view *view, uint64_t after, struct buf *out)
{
    const char *separator = "";

    buf_add_str(out, "event: batches\ndata: {\"batches\":[");
    for (size_t i = 0; i < view->count; i++) {
        if (view->entries[i].number <= after)
            continue;
        buf_add_str(out, separator);
        buf_add_str(out, view->entries[i].text);
        separator = ",";
    }
    buf_add_char(out, ']');
    if (view->order_number > after)
        write_order(view, out);
    buf_add_str(out, "}\n\n");
}

void
http_board_write(const struct http_board *board, const struct http_view *view,
                 struct http_place_read *read, struct buf *out)
{
    if (board->overview_number > read->board)
        buf_addf(out, "event: overview\ndata: %s\n\n", board->overview.data);
    if (view->number > read->board)
        write_batches(view, read->board, out);
    if (http_history_last(board->history) > read->history) {
        buf_add_str(out, "event: history\ndata: ");
        http_history_write(board->history, read->history, out);
        buf_add_str(out, "\n\n");
    }
    read->board = board->number;
    read->history = http_history_last(board->history);
}
