/* SPDX-License-Identifier: MIT */
#include "submit/http_batches.h"
#include "submit/http_complete.h"
#include "submit/http_events.h"
#include "submit/http_files.h"
#include "submit/http_gateway.h"
#include "submit/http_models.h"
#include "submit/http_page.h"
#include "submit/http_search.h"
#include "submit/http_ui.h"

#define COMPLETION(url)                                                 \
    {                                                                   \
        .method = "POST", .pattern = url, .scope = HTTP_SCOPE_SUBMIT,   \
        .type = HTTP_JSON, .body_bytes_max = HTTP_COMPLETION_BYTES_MAX, \
        .handler = http_complete                                        \
    }

#define PAGE_FILE(name, url, path, type) \
    { .method = "GET", .pattern = (url), .handler = http_page },

#define LOOK(url, function)                                        \
    {                                                              \
        .method = "GET", .pattern = url, .scope = HTTP_SCOPE_READ, \
        .handler = (function)                                      \
    }

#define ACTION(url, function)                                         \
    {                                                                 \
        .method = "POST", .pattern = url, .scope = HTTP_SCOPE_SUBMIT, \
        .type = HTTP_JSON, .body_bytes_max = HTTP_UI_BODY_BYTES_MAX,  \
        .handler = (function)                                         \
    }

static const struct http_route rows[] = {
    COMPLETION("/v1/chat/completions"),
    COMPLETION("/v1/responses"),
    COMPLETION("/v1/completions"),
    COMPLETION("/v1/embeddings"),
    LOOK("/v1/models", http_models_list),
    LOOK("/v1/models/{model...}", http_models_get),
    { .method = "POST",
      .pattern = "/v1/files",
      .scope = HTTP_SCOPE_SUBMIT,
      .type = HTTP_FORM,
      .body_max = http_upload_bytes_max,
      .piece = http_upload_take,
      .handler = http_upload },
    LOOK("/v1/files", http_files_list),
    LOOK("/v1/files/{file}", http_files_get),
    { .method = "DELETE",
      .pattern = "/v1/files/{file}",
      .scope = HTTP_SCOPE_SUBMIT,
      .handler = http_files_delete },
    LOOK("/v1/files/{file}/content", http_content),
    { .method = "POST",
      .pattern = "/v1/batches",
      .scope = HTTP_SCOPE_SUBMIT,
      .type = HTTP_JSON,
      .body_bytes_max = HTTP_BATCH_BYTES_MAX,
      .handler = http_batch_new },
    LOOK("/v1/batches", http_batches_list),
    LOOK("/v1/batches/{batch}", http_batches_get),
    { .method = "POST",
      .pattern = "/v1/batches/{batch}/cancel",
      .scope = HTTP_SCOPE_SUBMIT,
      .handler = http_batches_cancel },
    LOOK("/ui/events", http_events_open),
    LOOK("/ui/batches", http_ui_batches),
    LOOK("/ui/batches/{batch}", http_ui_batch),
    LOOK("/ui/batches/{batch}/results", http_search),
    LOOK("/ui/batches/{batch}/results/{index}", http_ui_result),
    LOOK("/ui/batches/{batch}/results/{index}/why", http_ui_why),
    ACTION("/ui/batches/{batch}/cancel", http_ui_cancel),
    ACTION("/ui/batches/{batch}/retry", http_ui_retry),
    ACTION("/ui/batches/{batch}/pause", http_ui_pause),
    ACTION("/ui/batches/{batch}/resume", http_ui_resume),
    HTTP_PAGE_FILES(PAGE_FILE)
};

const struct http_routes http_api_routes = { rows,
                                             sizeof(rows) / sizeof(rows[0]) };
