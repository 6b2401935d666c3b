/* SPDX-License-Identifier: MIT */
#include "submit/http_events.h"

#include <assert.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "submit/http_board.h"
#include "submit/http_gateway.h"

/* A comment of the format: it keeps the way open. */
#define BEAT ": beat\n\n"

struct stream {
    struct stream *next;
    struct http_events *events;   /* borrowed: lives longer */
    struct http_request *request; /* it waits for a piece; NULL: it sends */
    struct http_view *view;       /* borrowed from the board */
    struct http_place_read read;
    struct buf greeting; /* said first */
    int64_t end_ms, beat_ms;
};

struct http_events {
    struct gateway *gateway; /* borrowed: lives longer */
    struct http_board *board;
    struct stream *streams;
    size_t count;
};

struct http_events *
http_events_new(struct gateway *gateway)
{
    struct http_events *events = mem_zalloc(1, sizeof(*events));

    events->gateway = gateway;
    events->board = http_board_new(gateway);
    return events;
}

void
http_events_free(struct http_events *events)
{
    if (!events)
        return;
    assert(!events->streams);
    http_board_free(events->board);
    free(events);
}

size_t
http_events_count(const struct http_events *events)
{
    return events->count;
}

static void
give(struct stream *stream, struct slice piece)
{
    struct http_request *request = stream->request;

    stream->request = NULL;
    stream->beat_ms = stream->events->gateway->now_ms + HTTP_STREAM_BEAT_MS;
    http_feed(request, piece);
}

static void
end(struct stream *stream)
{
    struct http_request *request = stream->request;

    stream->request = NULL;
    http_feed_end(request);
}

/* Says what there is to be said to a stream that waits. */
static void
feed(struct stream *stream)
{
    const struct gateway *gateway = stream->events->gateway;
    struct http_board *board = stream->events->board;
    struct buf text = { 0 };

    if (gateway->now_ms >= stream->end_ms) {
        end(stream);
        return;
    }
    buf_add_slice(&text, buf_slice(&stream->greeting));
    buf_reset(&stream->greeting);
    if (http_board_has_news(board, stream->view, &stream->read))
        http_board_write(board, stream->view, &stream->read, &text);
    else if (gateway->now_ms >= stream->beat_ms)
        buf_add_str(&text, BEAT);
    if (text.bytes)
        give(stream, buf_slice(&text));
    buf_fini(&text);
}

static void
on_pull(void *arg, struct http_request *request, int64_t at)
{
    struct stream *stream = arg;

    (void)at;
    stream->request = request;
    feed(stream);
}

static void
on_close(void *arg)
{
    struct stream *stream = arg, **place = &stream->events->streams;

    while (*place != stream)
        place = &(*place)->next;
    *place = stream->next;
    stream->events->count--;
    http_board_leave(stream->events->board, stream->view);
    buf_fini(&stream->greeting);
    free(stream);
}

/* Who reads. The page shows no button that would be refused. */
static void
write_greeting(const struct http_request *request, struct buf *out)
{
    const char *client = request->grant.client;

    buf_add_str(out, "event: session\ndata: {\"client\":");
    json_write_string(out, client, slice_of(client).bytes);
    buf_addf(out, ",\"scope\":\"%s\",\"silent_ms\":%d}\n\n",
             http_scope_name(request->grant.scope), HTTP_STREAM_SILENT_MS);
}

void
http_events_open(struct http_request *request)
{
    struct gateway *gateway = request->gateway;
    struct http_events *events = gateway->events;
    struct http_source source = {
        .bytes = -1, .is_endless = true, .pull = on_pull, .close = on_close
    };
    bool sees_all = request->grant.scope >= HTTP_SCOPE_ADMIN;
    struct stream *stream;
    struct http_error error;

    if (events->count == HTTP_STREAMS_MAX) {
        http_error_set(&error, 503, "busy",
                       "%d pages are open already; close one",
                       HTTP_STREAMS_MAX);
        http_reply_error(request, &error);
        return;
    }
    stream = mem_zalloc(1, sizeof(*stream));
    stream->events = events;
    stream->view = http_board_enter(events->board,
                                    sees_all ? NULL : request->grant.client);
    stream->end_ms = gateway->now_ms + HTTP_STREAM_MS_MAX;
    stream->beat_ms = gateway->now_ms + HTTP_STREAM_BEAT_MS;
    stream->next = events->streams;
    events->streams = stream;
    events->count++;
    write_greeting(request, &stream->greeting);
    source.arg = stream;
    http_reply_field(request, "X-Accel-Buffering", "no");
    http_reply_source(request, 200, HTTP_EVENT_STREAM, &source);
}

/* Feeding a stream closes none: it only wakes its connection. */
void
http_events_turn(struct http_events *events)
{
    http_board_turn(events->board);
    for (struct stream *stream = events->streams; stream;
         stream = stream->next) {
        if (stream->request)
            feed(stream);
    }
}

int64_t
http_events_next_ms(const struct http_events *events)
{
    int64_t next_ms = http_board_next_ms(events->board);

    for (const struct stream *stream = events->streams; stream;
         stream = stream->next) {
        if (!stream->request)
            continue;
        if (stream->beat_ms < next_ms)
            next_ms = stream->beat_ms;
        if (stream->end_ms < next_ms)
            next_ms = stream->end_ms;
    }
    return next_ms;
}
