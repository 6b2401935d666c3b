/* SPDX-License-Identifier: MIT */
#include "submit/http_complete.h"
#include "submit/http_gateway.h"
#include "submit/http_models.h"

#define COMPLETION(url)                                                 \
    {                                                                   \
        .method = "POST", .pattern = url, .scope = HTTP_SCOPE_SUBMIT,   \
        .type = HTTP_JSON, .body_bytes_max = HTTP_COMPLETION_BYTES_MAX, \
        .handler = http_complete                                        \
    }

static const struct http_route rows[] = {
    COMPLETION("/v1/chat/completions"),
    COMPLETION("/v1/responses"),
    COMPLETION("/v1/completions"),
    COMPLETION("/v1/embeddings"),
    { .method = "GET",
      .pattern = "/v1/models",
      .scope = HTTP_SCOPE_READ,
      .handler = http_models_list },
    { .method = "GET",
      .pattern = "/v1/models/{model}",
      .scope = HTTP_SCOPE_READ,
      .handler = http_models_get },
};

const struct http_routes http_api_routes = { rows,
                                             sizeof(rows) / sizeof(rows[0]) };
