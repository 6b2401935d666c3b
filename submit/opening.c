/* SPDX-License-Identifier: MIT */
#include "submit/opening.h"

#include "queue/wire.h"

static void
add_texts(cJSON *head, const struct sheaf_submission *submission)
{
    const struct {
        const char *name, *text;
    } texts[] = { { "key", submission->key },
                  { "client", submission->client },
                  { "name", submission->name },
                  { "window", submission->window },
                  { "tz", submission->tz } };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].text)
            wire_add_str(head, texts[i].name, texts[i].text);
    }
}

cJSON *
opening_header(const struct sheaf_submission *submission, struct err *err)
{
    cJSON *head = wire_new("open");

    add_texts(head, submission);
    wire_add_bool(head, "early", submission->is_early);
    if (submission->adopts_terms)
        wire_add_bool(head, "adopt_terms", true);
    wire_add_int(head, "priority", submission->priority);
    wire_add_int(head, "not_before", submission->not_before_ms);
    wire_add_int(head, "deadline", submission->deadline_ms);
    if (submission->metadata) {
        cJSON *metadata = cJSON_Parse(submission->metadata);

        if (!cJSON_IsObject(metadata)) {
            cJSON_Delete(metadata);
            cJSON_Delete(head);
            err_set(err, E_INVALID, "metadata: not a JSON object");
            return NULL;
        }
        cJSON_AddItemToObject(head, "metadata", metadata);
    }
    return head;
}
