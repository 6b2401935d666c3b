/* SPDX-License-Identifier: MIT */
#include "submit/http_complete.h"
#include "submit/http_gateway.h"
#include "submit/http_models.h"

#define COMPLETION(url)                                                       \
    {                                                                         \
        "POST", url, HTTP_SCOPE_SUBMIT, HTTP_JSON, HTTP_COMPLETION_BYTES_MAX, \
            http_complete                                                     \
    }

static const struct http_route rows[] = {
    COMPLETION("/v1/chat/completions"),
    COMPLETION("/v1/responses"),
    COMPLETION("/v1/completions"),
    COMPLETION("/v1/embeddings"),
    { "GET", "/v1/models", HTTP_SCOPE_READ, NULL, 0, http_models_list },
    { "GET", "/v1/models/{model}", HTTP_SCOPE_READ, NULL, 0, http_models_get },
};

const struct http_routes http_api_routes = { rows,
                                             sizeof(rows) / sizeof(rows[0]) };
