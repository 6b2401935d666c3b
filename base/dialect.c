/* SPDX-License-Identifier: MIT */
#include "base/dialect.h"

#include <string.h>

#define API_VERSION "{api_version}"
#define BEARER      "Authorization: Bearer "
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))

/* clang-format off */
static const struct dialect dialects[] = {
    { .name = DIALECT_DEFAULT, .path = DIALECT_CHAT_PATH, .shape = "chat",
      .key_header = BEARER, .is_openai = true },
    { .name = "responses", .path = "/responses", .shape = "responses",
      .key_header = BEARER },
    { .name = "azure",
      .path = "/deployments/" DIALECT_MODEL DIALECT_CHAT_PATH
              "?api-version=" API_VERSION,
      .api_version = "2024-10-21", .shape = "chat",
      .key_header = "api-key: ", .is_openai = true },
    { .name = "anthropic", .path = "/messages", .shape = "anthropic",
      .key_header = "x-api-key: ",
      .headers = { "anthropic-version: 2023-06-01" }, .max_tokens = 4096 },
    { .name = "gemini", .path = "/models/" DIALECT_MODEL ":generateContent",
      .shape = "gemini", .key_header = "x-goog-api-key: " },
    { .name = "ollama", .path = "/api/chat", .shape = "ollama_chat",
      .key_header = BEARER },
    { .name = "salesforce",
      .path = "/models/" DIALECT_MODEL "/chat-generations",
      .shape = "salesforce_chat", .key_header = BEARER,
      .headers = { "x-sfdc-app-context: EinsteinGPT",
                   "x-client-feature-id: ai-platform-models-connected-app" } },
};
/* clang-format on */

const struct dialect *
dialect_find(const char *name)
{
    for (size_t i = 0; i < COUNT(dialects); i++) {
        if (strcmp(dialects[i].name, name ? name : DIALECT_DEFAULT) == 0)
            return &dialects[i];
    }
    return NULL;
}

const struct dialect *
dialect_at(size_t nth)
{
    return nth < COUNT(dialects) ? &dialects[nth] : NULL;
}

void
dialect_add_path(const char *path, const char *api_version, struct buf *out)
{
    const char *place = api_version ? strstr(path, API_VERSION) : NULL;

    if (!place) {
        buf_add_str(out, path);
        return;
    }
    buf_add(out, path, (size_t)(place - path));
    buf_add_str(out, api_version);
    buf_add_str(out, place + strlen(API_VERSION));
}

void
dialect_add_endpoint(const struct dialect *dialect, const char *chat_path,
                     struct slice endpoint, struct buf *out)
{
    const char *place = NULL;

    if (dialect->api_version)
        place = strstr(chat_path, DIALECT_CHAT_PATH);
    if (!place) {
        buf_add_slice(out, endpoint);
        return;
    }
    buf_add(out, chat_path, (size_t)(place - chat_path));
    buf_add_slice(out, endpoint);
    buf_add_str(out, place + strlen(DIALECT_CHAT_PATH));
}
