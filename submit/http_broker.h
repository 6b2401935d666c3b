/*
 * http_broker.h - many questions to the broker at a time
 *
 * The gateway asks over one connection; answers come in any order and find
 * their question by its number. Every verb may be repeated: when the connection
 * is made anew, what was not answered is sent again, and a broker that was
 * restarted meanwhile answers it. A question ends by its answer or by its time.
 *
 * The broker is said to be there while it answers a greeting, which is sent
 * again and again. While it is not, nothing new is asked.
 *
 * Time: milliseconds of the monotonic clock, passed in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_BROKER_H
#define SUBMIT_HTTP_BROKER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "queue/wire.h"

#define HTTP_QUESTIONS_MAX      1024
#define HTTP_QUESTION_BYTES_MAX 67108864 /* of all bodies together */
#define HTTP_QUESTION_MS        30000    /* for an answer, unless it waits */
#define HTTP_GREETING_MS        1000     /* between greetings */
#define HTTP_GREETING_ANSWER_MS 5000
#define HTTP_VERSION_BYTES      32

struct http_broker;
struct http_question;

/* Takes an answer: the message, lent for the call; or NULL, and why there is
 * none. An answer `error` comes in that way, too. The question is over: its
 * pointer is worth nothing any more. It may ask further ones. */
typedef void http_answer_fn(void *arg, const struct wire *wire,
                            const struct err *err);

/* What the broker said of itself last. */
struct http_welcome {
    char version[HTTP_VERSION_BYTES];
    int64_t chunk_bytes_max, line_bytes_max, file_bytes_max;
    cJSON *models; /* an array of {"id","upstream"}; NULL: it told none */
    bool is_draining;
};

/* Connects to an endpoint; the broker need not be there. NULL: E_USAGE. */
struct http_broker *http_broker_new(const char *endpoint, struct err *err);

/* Ends the connection, and all questions with E_DRAINING. NULL is fine. */
void http_broker_free(struct http_broker *broker);

/* What is asked: a header without `re`, which is freed, and a body, which is
 * copied. */
struct http_ask {
    cJSON *head;
    struct slice body;
    int64_t answer_ms; /* 0: HTTP_QUESTION_MS */
    bool is_patient;   /* it is kept for a broker that is away now */
    http_answer_fn *answer;
    void *arg;
};

/* Asks. Answered later, never within the call. NULL: it cannot be asked, or not
 * now, and *err says why (E_TOOBIG; E_UNREACHABLE, E_FULL). A function of NULL:
 * nobody wants to hear. */
struct http_question *http_broker_ask(struct http_broker *broker,
                                      const struct http_ask *ask,
                                      int64_t now_ms, struct err *err);

/* Nobody wants the answer any more. */
void http_broker_forget(struct http_broker *broker,
                        struct http_question *question);

/* Takes what has arrived, sends what is to be sent again, ends what is over. */
void http_broker_turn(struct http_broker *broker, int64_t now_ms);

/* When a turn is needed, if nothing arrives. */
int64_t http_broker_next_ms(const struct http_broker *broker);

/* To be polled for reading; see link.h. */
int http_broker_fd(const struct http_broker *broker);

/* True if the broker is there. */
bool http_broker_is_up(const struct http_broker *broker);

/* What it said; zeroed before it was heard for the first time. */
const struct http_welcome *
http_broker_welcome(const struct http_broker *broker);

#endif
