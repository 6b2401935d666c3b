/* SPDX-License-Identifier: MIT */
#include "submit/http_batches.h"
#include "submit/http_complete.h"
#include "submit/http_files.h"
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
    { .method = "POST",
      .pattern = "/v1/files",
      .scope = HTTP_SCOPE_SUBMIT,
      .type = HTTP_FORM,
      .body_max = http_upload_bytes_max,
      .piece = http_upload_take,
      .handler = http_upload },
    { .method = "GET",
      .pattern = "/v1/files",
      .scope = HTTP_SCOPE_READ,
      .handler = http_files_list },
    { .method = "GET",
      .pattern = "/v1/files/{file}",
      .scope = HTTP_SCOPE_READ,
      .handler = http_files_get },
    { .method = "DELETE",
      .pattern = "/v1/files/{file}",
      .scope = HTTP_SCOPE_SUBMIT,
      .handler = http_files_delete },
    { .method = "GET",
      .pattern = "/v1/files/{file}/content",
      .scope = HTTP_SCOPE_READ,
      .handler = http_content },
    { .method = "POST",
      .pattern = "/v1/batches",
      .scope = HTTP_SCOPE_SUBMIT,
      .type = HTTP_JSON,
      .body_bytes_max = HTTP_BATCH_BYTES_MAX,
      .handler = http_batch_new },
    { .method = "GET",
      .pattern = "/v1/batches",
      .scope = HTTP_SCOPE_READ,
      .handler = http_batches_list },
    { .method = "GET",
      .pattern = "/v1/batches/{batch}",
      .scope = HTTP_SCOPE_READ,
      .handler = http_batches_get },
    { .method = "POST",
      .pattern = "/v1/batches/{batch}/cancel",
      .scope = HTTP_SCOPE_SUBMIT,
      .handler = http_batches_cancel },
};

const struct http_routes http_api_routes = { rows,
                                             sizeof(rows) / sizeof(rows[0]) };
