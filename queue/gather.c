/* SPDX-License-Identifier: MIT */
#include "queue/gather.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
gather_begin(struct gathering *gathering, size_t max)
{
    gathering->max = max;
    if (gathering->kept_max == 0)
        gathering->kept_max = UINT32_MAX;
    gathering->drafts = mem_zalloc(max, sizeof(gathering->drafts[0]));
    gathering->routes = mem_zalloc(max, sizeof(gathering->routes[0]));
}

void
gather_end(struct gathering *gathering)
{
    free(gathering->drafts);
    free(gathering->routes);
    buf_fini(&gathering->ids);
}

/* Refuses line n of the chunk, from 0. */
static void
refuse(struct gathering *gathering, uint32_t n, struct line_fault fault)
{
    struct refusal refusal = { .index = gathering->chunk->index_first + n,
                               .line = n + 1 };

    gathering->chunk->refused++;
    gathering->broker->counters.drafts_refused++;
    if (gathering->batch->refused_count++ >= gathering->kept_max)
        return;
    if (gathering->reword)
        gathering->reword(&fault);
    refusal.field = slice_of(fault.field);
    refusal.code = slice_of(fault.code);
    refusal.message = slice_of(fault.message);
    if (gathering->file_lines)
        refusal.file_line = gathering->file_lines[n];
    store_refusal_add(gathering->broker->env.store, gathering->batch->id,
                      &refusal);
}

void
gather_refuse(struct gathering *gathering, struct line_fault fault)
{
    refuse(gathering, gathering->next++, fault);
}

/* Where a token stands within a line. */
static uint32_t
offset_in(struct slice line, struct slice token)
{
    return (uint32_t)(token.data - line.data);
}

static void
gather(struct gathering *gathering, struct slice body, struct slice text)
{
    struct broker *broker = gathering->broker;
    struct new_draft *draft = &gathering->drafts[gathering->count];
    const struct line *line = &broker->line;
    struct slice id = json_raw(&line->doc, line->id_token), meta;

    meta = json_raw(&line->doc, line->fields[LINE_METADATA]);
    *draft = (struct new_draft){
        .draft = { .batch = gathering->batch->id,
                   .index = gathering->chunk->index_first + gathering->next,
                   .at = offset_in(body, text),
                   .bytes = (uint32_t)text.bytes,
                   .line_check = draft_line_check(text),
                   .id_at = offset_in(text, id),
                   .id_bytes = (uint32_t)id.bytes,
                   .meta_at = meta.bytes ? offset_in(text, meta) : 0,
                   .meta_bytes = (uint32_t)meta.bytes },
        .id = { NULL, line->id.bytes }, /* set when all are gathered */
        .kind = broker->recipe->prompt.kind,
        .route = gathering->routes[gathering->count],
        .model = broker->recipe->prompt.model_tag,
        .tag = broker->recipe->prompt.tag,
        .chars = broker->recipe->prompt.chars,
        .tokens = prompt_tokens(&broker->recipe->prompt, broker->env.conf),
    };
    memcpy(draft->key, broker->recipe->prompt.key, sizeof(draft->key));
    assert(broker->recipe->prompt.names.bytes < REQUEST_ROUTE_BYTES);
    memcpy(gathering->routes[gathering->count],
           broker->recipe->prompt.names.data,
           broker->recipe->prompt.names.bytes + 1);
    buf_add_slice(&gathering->ids, buf_slice(&line->id));
    gathering->count++;
}

bool
gather_line(struct gathering *gathering, struct slice body, struct slice text,
            struct line_fault *fault)
{
    struct broker *broker = gathering->broker;

    assert(gathering->count < gathering->max);
    if (line_read(&broker->line, broker->env.conf, text, fault) < 0 ||
        (gathering->fits && !gathering->fits(gathering->context, fault)) ||
        prompt_make(&broker->recipe->prompt, &broker->line,
                    &broker->recipe->options, broker->env.conf, 0, fault) < 0) {
        gather_refuse(gathering, *fault);
        return false;
    }
    gather(gathering, body, text);
    gathering->next++;
    return true;
}

static void
add_duplicates(struct gathering *gathering)
{
    static const struct line_fault duplicate = {
        .code = "duplicate_id",
        .field = "id",
        .message = "an earlier draft of the batch has the same id"
    };

    for (size_t i = 0; i < gathering->count; i++) {
        const struct new_draft *draft = &gathering->drafts[i];

        if (draft->disposition == DRAFT_DUPLICATE_ID) {
            refuse(gathering,
                   draft->draft.index - gathering->chunk->index_first,
                   duplicate);
        }
    }
}

static void
count_dispositions(struct gathering *gathering)
{
    struct counters *counters = &gathering->broker->counters;

    counters->chunks++;
    counters->drafts_accepted += gathering->chunk->accepted;
    counters->drafts_joined += gathering->chunk->joined;
    for (size_t i = 0; i < gathering->count; i++) {
        if (gathering->drafts[i].disposition != DRAFT_CACHED)
            continue;
        if (gathering->drafts[i].draft.tier == CACHE_MEMORY)
            counters->cache_memory_hits++;
        else
            counters->cache_store_hits++;
    }
}

int
gather_store(struct gathering *gathering, struct slice body, int64_t now_ms)
{
    struct broker *broker = gathering->broker;
    struct batch *batch = gathering->batch;
    struct chunk *chunk = gathering->chunk;
    struct intake intake = core_intake(broker, now_ms);
    const char *id = gathering->ids.data;
    int rc;

    assert(gathering->next == chunk->draft_count);
    store_body_put(broker->env.store, batch->id, chunk, body, gathering->drafts,
                   gathering->count);
    for (size_t i = 0; i < gathering->count; i++) {
        gathering->drafts[i].id.data = id;
        id += gathering->drafts[i].id.bytes;
    }
    rc = store_drafts_add(broker->env.store, batch, chunk, gathering->drafts,
                          gathering->count, &intake);
    if (rc < 0)
        return rc;
    add_duplicates(gathering);
    count_dispositions(gathering);
    batch->chunk_next++;
    batch->draft_count += chunk->draft_count;
    store_chunk_put(broker->env.store, batch->id, chunk);
    if (chunk->cached)
        broker->has_results = true;
    return 0;
}

struct slice
gather_next_line(struct slice *rest)
{
    const char *end = memchr(rest->data, '\n', rest->bytes);
    struct slice line = { rest->data,
                          end ? (size_t)(end - rest->data) : rest->bytes };
    size_t taken = line.bytes + (end ? 1 : 0);

    rest->data += taken;
    rest->bytes -= taken;
    return line;
}
