/* SPDX-License-Identifier: MIT */
#include "submit/http_call.h"

#include <stdlib.h>

#include "base/mem.h"
#include "submit/http_gateway.h"

struct call {
    struct http_request *request; /* borrowed */
    struct http_broker *broker;   /* borrowed */
    struct http_question *question;
    http_then_fn *then;
};

static void
on_gone(void *arg)
{
    struct call *call = arg;

    http_broker_forget(call->broker, call->question);
    free(call);
}

static void
on_answer(void *arg, const struct wire *wire, const struct err *err)
{
    struct call *call = arg;
    struct http_request *request = call->request;
    http_then_fn *then = call->then;

    free(call);
    http_on_gone(request, NULL, NULL);
    then(request, wire, err);
}

void
http_call(struct http_request *request, cJSON *head, struct slice body,
          http_then_fn *then)
{
    struct gateway *gateway = request->gateway;
    struct call *call = mem_zalloc(1, sizeof(*call));
    struct http_ask ask = {
        .head = head, .body = body, .answer = on_answer, .arg = call
    };
    struct err err = { 0 };

    wire_add_str(head, "client", request->grant.client);
    call->request = request;
    call->broker = gateway->broker;
    call->then = then;
    call->question =
        http_broker_ask(gateway->broker, &ask, gateway->now_ms, &err);
    if (call->question) {
        http_on_gone(request, on_gone, call);
        return;
    }
    free(call);
    http_call_failed(request, &err);
}

void
http_call_failed(struct http_request *request, const struct err *err)
{
    struct http_error error;

    http_error_of(&error, err);
    http_reply_error(request, &error);
}
