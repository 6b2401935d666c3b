/* SPDX-License-Identifier: MIT */
#include "submit/http_broker.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "queue/link.h"
#include "tests/scratch.h"

/* A broker that the test plays: what it is asked, and what it answers when. The
 * gateway's time is the test's; the links take theirs. */

TestSuite(http_broker, .timeout = 60);

#define DEADLINE_MS 10000
#define ASKED_MAX   16

struct asked {
    char verb[16];
    int64_t re;
    struct link_peer peer;
};

static struct scratch scratch;
static struct link_context *context;
static struct link *link; /* NULL: the broker is down */
static struct http_broker *broker;
static char endpoint[300];
static int64_t now_ms = 1000000;
static struct asked asked[ASKED_MAX];
static int asked_count;
static bool is_mute; /* it does not answer greetings */

/* What came of the questions, by their argument. */
static int answered_count, codes[ASKED_MAX];
static char verbs[ASKED_MAX][16];

static void
take(void *arg, const struct wire *wire, const struct err *err)
{
    int *code = arg;
    int nth = (int)(code - codes);

    answered_count++;
    *code = err->code;
    (void)snprintf(verbs[nth], sizeof(verbs[nth]), "%s",
                   wire ? wire_verb(wire) : "");
}

static void
say(const struct link_peer *peer, const char *text)
{
    cr_assert_eq(link_send(link, peer, slice_of(text), (struct slice){ 0 }), 0);
}

static void
answer(int nth, const char *verb)
{
    char text[256];

    (void)snprintf(text, sizeof(text),
                   "{\"verb\":\"%s\",\"re\":%lld,\"code\":\"full\","
                   "\"message\":\"no room\"}",
                   verb, (long long)asked[nth].re);
    say(&asked[nth].peer, text);
}

/* Takes what the gateway has sent; greetings are answered at once. */
static void
listen_once(void)
{
    struct buf head = { 0 }, body = { 0 };
    struct asked message;
    struct wire wire;

    while (link && link_recv(link, &message.peer, &head, &body) == 0) {
        cr_assert_eq(
            wire_parse(&wire, buf_slice(&head), buf_slice(&body), NULL), 0);
        message.re = (int64_t)wire_get(&wire, "re")->valuedouble;
        (void)snprintf(message.verb, sizeof(message.verb), "%s",
                       wire_verb(&wire));
        wire_fini(&wire);
        if (strcmp(message.verb, "hello") != 0) {
            cr_assert_lt(asked_count, ASKED_MAX);
            asked[asked_count++] = message;
        } else if (!is_mute) {
            say(&message.peer,
                "{\"verb\":\"welcome\",\"re\":0,\"version\":\"9.9\",\"limits\":"
                "{\"line_bytes_max\":4711},\"models\":[{\"id\":\"m\","
                "\"upstream\":\"u\"}],\"draining\":false}");
        }
    }
    buf_fini(&head);
    buf_fini(&body);
}

static void
turn(void)
{
    struct pollfd fd = { .fd = http_broker_fd(broker), .events = POLLIN };

    listen_once();
    http_broker_turn(broker, now_ms);
    (void)poll(&fd, 1, 2);
}

/* Turns until the expression is true; greetings go on meanwhile. */
#define UNTIL(is_true)                                                  \
    for (int64_t end_ms = clock_mono_ms() + DEADLINE_MS; !(is_true);) { \
        turn();                                                         \
        now_ms++;                                                       \
        cr_assert_lt(clock_mono_ms(), end_ms, "never: " #is_true);      \
    }

static void
come_up(void)
{
    struct link_limits limits = { .frame_bytes_max = 1000000,
                                  .queue_max = 2000 };
    struct err err = { 0 };

    link = link_bind(context, endpoint, limits, &err);
    cr_assert_not_null(link, "%s", err.msg);
}

static void
go_down(void)
{
    link_close(link, 0);
    link = NULL;
}

static void
set_up(void)
{
    scratch = scratch_make();
    (void)snprintf(endpoint, sizeof(endpoint), "ipc://%s/clients",
                   scratch.path);
    context = link_context_new();
    broker = http_broker_new(endpoint, NULL);
    cr_assert_not_null(broker);
}

static void
tear_down(void)
{
    http_broker_free(broker);
    link_close(link, 0);
    link_context_free(context);
    scratch_remove(&scratch);
}

static struct http_question *
ask(const char *verb, int nth, bool is_patient, struct err *err)
{
    struct http_ask question = { .head = wire_new(verb),
                                 .answer_ms = 60000,
                                 .is_patient = is_patient,
                                 .answer = take,
                                 .arg = &codes[nth] };

    return http_broker_ask(broker, &question, now_ms, err);
}

Test(http_broker, is_there_while_it_answers_greetings, .init = set_up,
     .fini = tear_down)
{
    const struct http_welcome *welcome = http_broker_welcome(broker);
    struct err err = { 0 };

    turn();
    cr_expect_not(http_broker_is_up(broker));
    cr_expect_null(ask("status", 0, false, &err));
    cr_expect_eq(err.code, E_UNREACHABLE);
    come_up();
    UNTIL(http_broker_is_up(broker));
    cr_expect_str_eq(welcome->version, "9.9");
    cr_expect_eq(welcome->line_bytes_max, 4711);
    cr_expect_eq(cJSON_GetArraySize(welcome->models), 1);

    is_mute = true;
    now_ms += HTTP_GREETING_ANSWER_MS;
    UNTIL(!http_broker_is_up(broker));
    is_mute = false;
    UNTIL(http_broker_is_up(broker));
    cr_expect_eq(answered_count, 0);
}

/* It would be answered by nobody. */
Test(http_broker, asks_nothing_that_is_too_long_for_a_header, .init = set_up,
     .fini = tear_down)
{
    struct http_ask question = { .answer = take, .arg = &codes[0] };
    struct buf text = { 0 };
    struct err err = { 0 };

    come_up();
    UNTIL(http_broker_is_up(broker));
    for (int i = 0; i < WIRE_HEADER_BYTES_MAX; i++)
        buf_add_char(&text, 'x');
    question.head = wire_new("open");
    wire_add_slice(question.head, "name", buf_slice(&text));
    cr_expect_null(http_broker_ask(broker, &question, now_ms, &err));
    cr_expect_eq(err.code, E_TOOBIG);
    buf_fini(&text);
}

Test(http_broker, finds_the_question_of_each_answer, .init = set_up,
     .fini = tear_down)
{
    struct err err = { 0 };

    come_up();
    UNTIL(http_broker_is_up(broker));
    cr_assert_not_null(ask("status", 0, false, &err));
    cr_assert_not_null(ask("results", 1, false, &err));
    cr_assert_not_null(ask("cancel", 2, false, &err));
    UNTIL(asked_count >= 3);
    answer(2, "error");
    answer(0, "status");
    UNTIL(answered_count == 2);
    cr_expect_eq(codes[0], 0);
    cr_expect_str_eq(verbs[0], "status");
    cr_expect_eq(codes[2], E_FULL);
    cr_expect_str_eq(verbs[2], "");
    answer(0, "status"); /* once more: nobody wants it */
    answer(1, "results");
    UNTIL(answered_count == 3);
    cr_expect_str_eq(verbs[1], "results");
}

Test(http_broker, gives_up_in_time_and_forgets_when_told, .init = set_up,
     .fini = tear_down)
{
    struct http_question *question;
    struct err err = { 0 };

    come_up();
    UNTIL(http_broker_is_up(broker));
    cr_assert_not_null(ask("status", 0, false, &err));
    question = ask("results", 1, false, &err);
    cr_assert_not_null(question);
    UNTIL(asked_count >= 2);
    http_broker_forget(broker, question);
    answer(1, "results");
    now_ms += 60000;
    UNTIL(answered_count == 1);
    cr_expect(codes[0] == E_TIMEOUT || codes[0] == E_UNREACHABLE);
    for (int i = 0; i < 10; i++)
        turn();
    cr_expect_eq(answered_count, 1);
}

/* The first message with a verb; -1: there is none. The sign of a connection may
 * come behind what was sent over it already, and then that is sent twice. */
static int
find_asked(const char *verb)
{
    for (int i = 0; i < asked_count; i++) {
        if (strcmp(asked[i].verb, verb) == 0)
            return i;
    }
    return -1;
}

/* Another broker may be there now: it is asked again what the one before did not
 * answer, and only that. */
Test(http_broker, asks_again_over_a_new_connection, .init = set_up,
     .fini = tear_down)
{
    struct err err = { 0 };

    come_up();
    UNTIL(http_broker_is_up(broker));
    cr_assert_not_null(ask("status", 0, false, &err));
    cr_assert_not_null(ask("wait", 1, false, &err));
    UNTIL(asked_count >= 2);
    answer(0, "status");
    UNTIL(answered_count == 1);
    go_down();
    for (int i = 0; i < 20; i++)
        turn();
    /* What can wait may be asked meanwhile. */
    cr_assert_not_null(ask("reply", 2, true, &err));
    asked_count = 0;
    come_up();
    UNTIL(find_asked("wait") >= 0 && find_asked("reply") >= 0);
    cr_expect_lt(find_asked("status"), 0);
    answer(find_asked("wait"), "status");
    answer(find_asked("reply"), "reply");
    UNTIL(answered_count == 3);
    cr_expect_eq(codes[1], 0);
    cr_expect_str_eq(verbs[2], "reply");
}

Test(http_broker, knows_at_once_that_nobody_is_there, .init = set_up,
     .fini = tear_down)
{
    struct err err = { 0 };
    int tries = 0;

    come_up();
    UNTIL(http_broker_is_up(broker));
    go_down();
    /* The connection's end is noticed by a thread of the library. */
    while (ask("status", tries, false, &err)) {
        cr_assert_lt(++tries, ASKED_MAX);
        (void)poll(NULL, 0, 50);
    }
    cr_expect_eq(err.code, E_UNREACHABLE);
    cr_expect_not(http_broker_is_up(broker));
}

Test(http_broker, has_limits, .init = set_up, .fini = tear_down)
{
    static char large[HTTP_QUESTION_BYTES_MAX];
    struct http_ask question = { .body = { large, sizeof(large) - 1 },
                                 .is_patient = true };
    struct err err = { 0 };

    question.head = wire_new("chunk");
    cr_assert_not_null(http_broker_ask(broker, &question, now_ms, &err));
    question.head = wire_new("chunk");
    question.body.bytes = 2;
    cr_expect_null(http_broker_ask(broker, &question, now_ms, &err));
    cr_expect_eq(err.code, E_FULL);
    for (int i = 1; i < HTTP_QUESTIONS_MAX; i++)
        cr_assert_not_null(ask("status", 0, true, &err), "%d", i);
    cr_expect_null(ask("status", 0, true, &err));
    cr_expect_eq(err.code, E_FULL);
}

Test(http_broker, ends_its_questions_with_itself, .init = set_up)
{
    struct err err = { 0 };

    cr_assert_not_null(ask("status", 0, true, &err));
    tear_down();
    cr_expect_eq(answered_count, 1);
    cr_expect_eq(codes[0], E_DRAINING);
}
