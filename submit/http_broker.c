/* SPDX-License-Identifier: MIT */
#include "submit/http_broker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "queue/link.h"

#define FRAME_BYTES_MAX 268435456 /* of an answer: pages are smaller by far */
#define QUEUE_MAX       2000
#define AWAY            "the broker is away; it is tried again and again"
#define GREETING        0 /* its number; questions are counted from 1 */

struct http_question {
    struct http_question *next; /* the younger one */
    int64_t re;
    int64_t until_ms;
    struct buf head, body;
    bool is_sent; /* over the present connection */
    http_answer_fn *answer;
    void *arg;
};

struct http_broker {
    struct link_context *context;
    struct link *link;
    char *endpoint;
    struct http_question *oldest;
    size_t count, bytes;
    int64_t re_last;
    int64_t greet_ms;   /* the next greeting */
    int64_t heard_ms;   /* the last answer to one */
    int64_t greeted_ms; /* the oldest greeting not answered; 0: none */
    bool is_up, is_closing;
    struct http_welcome welcome;
    struct buf head, body; /* of the message that came last */
};

struct http_broker *
http_broker_new(const char *endpoint, struct err *err)
{
    struct link_limits limits = { .frame_bytes_max = FRAME_BYTES_MAX,
                                  .queue_max = QUEUE_MAX };
    struct http_broker *broker = mem_zalloc(1, sizeof(*broker));

    broker->endpoint = mem_dup_str(endpoint);
    broker->context = link_context_new();
    broker->link = link_connect(broker->context, endpoint, limits, err);
    if (!broker->link) {
        http_broker_free(broker);
        return NULL;
    }
    return broker;
}

static void
free_question(struct http_broker *broker, struct http_question *question)
{
    broker->count--;
    broker->bytes -= question->body.bytes;
    buf_fini(&question->head);
    buf_fini(&question->body);
    free(question);
}

/* Takes a question out of the list. */
static void
unlink_question(struct http_broker *broker, struct http_question *question)
{
    struct http_question **place = &broker->oldest;

    while (*place != question) {
        assert(*place);
        place = &(*place)->next;
    }
    *place = question->next;
}

void
http_broker_forget(struct http_broker *broker, struct http_question *question)
{
    unlink_question(broker, question);
    free_question(broker, question);
}

/* Ends a question. Its function may ask others: the list is in order by then. */
static void
end_question(struct http_broker *broker, struct http_question *question,
             const struct wire *wire, const struct err *err)
{
    http_answer_fn *answer = question->answer;
    void *arg = question->arg;

    http_broker_forget(broker, question);
    if (answer)
        answer(arg, wire, err);
}

void
http_broker_free(struct http_broker *broker)
{
    struct err err = { 0 };

    if (!broker)
        return;
    broker->is_closing = true;
    err_set(&err, E_DRAINING, "the gateway ends");
    while (broker->oldest)
        end_question(broker, broker->oldest, NULL, &err);
    link_close(broker->link, 0);
    link_context_free(broker->context);
    cJSON_Delete(broker->welcome.models);
    buf_fini(&broker->head);
    buf_fini(&broker->body);
    free(broker->endpoint);
    free(broker);
}

static void
send_question(struct http_broker *broker, struct http_question *question)
{
    question->is_sent =
        link_send(broker->link, NULL, buf_slice(&question->head),
                  buf_slice(&question->body)) == 0;
}

static void
set_up(struct http_broker *broker, bool is_up, const char *reason)
{
    if (broker->is_up == is_up)
        return;
    broker->is_up = is_up;
    if (is_up)
        log_info("event=broker_up broker=%s version=%s", broker->endpoint,
                 broker->welcome.version);
    else
        log_warn("event=broker_away broker=%s reason=%s", broker->endpoint,
                 reason);
}

static int
check_room(const struct http_broker *broker, const struct http_ask *ask,
           size_t head_bytes, struct err *err)
{
    /* The broker would take it for no message, and say nothing. */
    if (head_bytes > WIRE_HEADER_BYTES_MAX)
        return err_set(err, E_TOOBIG, "a header of %zu bytes, at most %d",
                       head_bytes, WIRE_HEADER_BYTES_MAX);
    if (broker->is_closing)
        return err_set(err, E_DRAINING, "the gateway ends");
    if (!broker->is_up && !ask->is_patient)
        return err_set(err, E_UNREACHABLE, "%s", AWAY);
    if (broker->count == HTTP_QUESTIONS_MAX)
        return err_set(err, E_FULL, "%d questions wait for the broker",
                       HTTP_QUESTIONS_MAX);
    if (ask->body.bytes > HTTP_QUESTION_BYTES_MAX - broker->bytes)
        return err_set(err, E_FULL, "%d bytes wait for the broker",
                       HTTP_QUESTION_BYTES_MAX);
    return 0;
}

struct http_question *
http_broker_ask(struct http_broker *broker, const struct http_ask *ask,
                int64_t now_ms, struct err *err)
{
    struct http_question *question, **place = &broker->oldest;
    struct buf head = { 0 };

    wire_add_int(ask->head, "re", ++broker->re_last);
    wire_print(ask->head, &head);
    if (check_room(broker, ask, head.bytes, err) < 0) {
        buf_fini(&head);
        return NULL;
    }
    question = mem_zalloc(1, sizeof(*question));
    question->re = broker->re_last;
    question->head = head;
    question->until_ms =
        now_ms + (ask->answer_ms > 0 ? ask->answer_ms : HTTP_QUESTION_MS);
    question->answer = ask->answer;
    question->arg = ask->arg;
    buf_add_slice(&question->body, ask->body);
    while (*place)
        place = &(*place)->next;
    *place = question;
    broker->count++;
    broker->bytes += ask->body.bytes;
    send_question(broker, question);
    if (question->is_sent || ask->is_patient)
        return question;
    /* Nobody is at the other end: known before a greeting is missed. */
    http_broker_forget(broker, question);
    set_up(broker, false, "unreachable");
    err_set(err, E_UNREACHABLE, "%s", AWAY);
    return NULL;
}

/* ---- greetings ---- */

static void
greet(struct http_broker *broker, int64_t now_ms)
{
    cJSON *head = wire_new("hello");
    struct buf text = { 0 };

    wire_add_int(head, "re", GREETING);
    wire_add_int(head, "protocol", WIRE_PROTOCOL);
    wire_print(head, &text);
    if (link_send(broker->link, NULL, buf_slice(&text), (struct slice){ 0 }) ==
            0 &&
        broker->greeted_ms == 0) {
        broker->greeted_ms = now_ms;
    }
    buf_fini(&text);
    broker->greet_ms = now_ms + HTTP_GREETING_MS;
}

static int64_t
limit_of(const cJSON *limits, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(limits, name);

    if (!cJSON_IsNumber(item) || item->valuedouble < 0 ||
        item->valuedouble > (double)WIRE_INT_MAX) {
        return 0;
    }
    return (int64_t)item->valuedouble;
}

static void
take_welcome(struct http_broker *broker, struct wire *wire, int64_t now_ms)
{
    struct http_welcome *welcome = &broker->welcome;
    const cJSON *limits = wire_get(wire, "limits");
    const char *version;

    if (strcmp(wire_verb(wire), "welcome") != 0) {
        set_up(broker, false, "version");
        return;
    }
    if (wire_str(wire, "version", HTTP_VERSION_BYTES - 1, "", &version, NULL) ==
        0) {
        (void)snprintf(welcome->version, sizeof(welcome->version), "%s",
                       version);
    }
    if (wire_bool(wire, "draining", false, &welcome->is_draining, NULL) < 0)
        welcome->is_draining = false;
    welcome->chunk_bytes_max = limit_of(limits, "chunk_bytes_max");
    welcome->line_bytes_max = limit_of(limits, "line_bytes_max");
    welcome->file_bytes_max = limit_of(limits, "file_bytes_max");
    cJSON_Delete(welcome->models);
    welcome->models =
        cJSON_DetachItemFromObjectCaseSensitive(wire->head, "models");
    broker->heard_ms = now_ms;
    broker->greeted_ms = 0;
    set_up(broker, true, "");
}

/* ---- a turn ---- */

static struct http_question *
find_question(struct http_broker *broker, int64_t re)
{
    struct http_question *question = broker->oldest;

    while (question && question->re != re)
        question = question->next;
    return question;
}

static void
take_answer(struct http_broker *broker, struct http_question *question,
            const struct wire *wire)
{
    const char *code, *message;
    struct err err = { 0 };

    if (strcmp(wire_verb(wire), "error") != 0) {
        end_question(broker, question, wire, &err);
        return;
    }
    if (wire_str(wire, "code", WIRE_HEADER_BYTES_MAX, NULL, &code, &err) == 0 &&
        wire_str(wire, "message", WIRE_HEADER_BYTES_MAX, "", &message, &err) ==
            0) {
        err_set(&err, err_from_name(code), "%s", message);
    }
    end_question(broker, question, NULL, &err);
}

static void
receive(struct http_broker *broker, int64_t now_ms)
{
    int rc;

    while ((rc = link_recv(broker->link, NULL, &broker->head, &broker->body)) !=
           1) {
        struct http_question *question;
        struct wire wire = { 0 };
        struct err err = { 0 };
        int64_t re = -1;

        if (rc == 0)
            rc = wire_parse(&wire, buf_slice(&broker->head),
                            buf_slice(&broker->body), &err);
        if (rc < 0) {
            log_warn("event=bad_answer broker=%s reason=\"%s\"",
                     broker->endpoint, err.msg);
            continue;
        }
        if (wire_int(&wire, "re", wire_range_or(0, WIRE_INT_MAX, -1), &re,
                     NULL) < 0) {
            re = -1;
        }
        question = re > GREETING ? find_question(broker, re) : NULL;
        if (re == GREETING)
            take_welcome(broker, &wire, now_ms);
        else if (question)
            take_answer(broker, question, &wire);
        wire_fini(&wire);
    }
}

/* Over a new connection, and to a broker that did not take them before. */
static void
send_again(struct http_broker *broker)
{
    struct http_question *question;

    if (link_was_connected(broker->link)) {
        for (question = broker->oldest; question; question = question->next)
            question->is_sent = false;
        broker->greet_ms = 0;
    }
    for (question = broker->oldest; question; question = question->next) {
        if (!question->is_sent)
            send_question(broker, question);
    }
}

static void
end_overdue(struct http_broker *broker, int64_t now_ms)
{
    struct http_question *question = broker->oldest;

    while (question) {
        struct err err = { 0 };

        if (question->until_ms > now_ms) {
            question = question->next;
            continue;
        }
        err_set(&err, broker->is_up ? E_TIMEOUT : E_UNREACHABLE,
                "the broker has not answered in time");
        end_question(broker, question, NULL, &err);
        question = broker->oldest; /* the list may be another one now */
    }
}

void
http_broker_turn(struct http_broker *broker, int64_t now_ms)
{
    receive(broker, now_ms);
    send_again(broker);
    if (now_ms >= broker->greet_ms)
        greet(broker, now_ms);
    if (broker->greeted_ms > 0 &&
        now_ms >= broker->greeted_ms + HTTP_GREETING_ANSWER_MS) {
        set_up(broker, false, "silent");
        broker->greeted_ms = 0;
    }
    /* A greeting that could not be sent is not answered either. */
    if (now_ms >= broker->heard_ms + HTTP_GREETING_ANSWER_MS)
        set_up(broker, false, "unreachable");
    end_overdue(broker, now_ms);
    receive(broker, now_ms); /* a send may have eaten the edge */
}

int64_t
http_broker_next_ms(const struct http_broker *broker)
{
    const struct http_question *question = broker->oldest;
    int64_t next_ms = broker->greet_ms;

    for (; question; question = question->next) {
        if (question->until_ms < next_ms)
            next_ms = question->until_ms;
    }
    return next_ms;
}

int
http_broker_fd(const struct http_broker *broker)
{
    return link_fd(broker->link);
}

bool
http_broker_is_up(const struct http_broker *broker)
{
    return broker->is_up;
}

const struct http_welcome *
http_broker_welcome(const struct http_broker *broker)
{
    return &broker->welcome;
}
