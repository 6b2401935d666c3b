/* SPDX-License-Identifier: MIT */
#include "queue/gather.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define KEEP_COUNT_MAX 256 /* elements and routes that are kept for reuse */
#define COUNT_FIRST    64
#define KEEP_BYTES_MAX 65536 /* of ids, and of parts */

static void
free_routes(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->route_count; i++)
        free(gathering->routes[i]);
    gathering->route_count = 0;
}

void
gather_fini(struct gathering *gathering)
{
    free_routes(gathering);
    free(gathering->routes);
    free(gathering->drafts);
    free(gathering->faults);
    buf_fini(&gathering->ids);
    parts_fini(&gathering->parts);
    *gathering = (struct gathering){ 0 };
}

void
gather_reset(struct gathering *gathering)
{
    if (gathering->capacity > KEEP_COUNT_MAX ||
        gathering->fault_capacity > KEEP_COUNT_MAX ||
        gathering->route_capacity > KEEP_COUNT_MAX ||
        gathering->ids.capacity > KEEP_BYTES_MAX ||
        gathering->parts.packed.capacity > KEEP_BYTES_MAX) {
        gather_fini(gathering);
    }
    free_routes(gathering);
    buf_reset(&gathering->ids);
    parts_reset(&gathering->parts);
    gathering->fits = NULL;
    gathering->context = NULL;
    gathering->batch = 0;
    gathering->line_count = gathering->next = 0;
    gathering->count = gathering->fault_count = 0;
}

/* Makes room for one element more. */
static void *
extend(void *list, size_t count, size_t *capacity, size_t bytes)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity ? *capacity + *capacity / 2 : COUNT_FIRST;
    return mem_grow(list, *capacity, bytes);
}

void
gather_refuse(struct gathering *gathering, const struct line_fault *fault)
{
    gathering->faults =
        extend(gathering->faults, gathering->fault_count,
               &gathering->fault_capacity, sizeof(gathering->faults[0]));
    gathering->faults[gathering->fault_count++] =
        (struct gather_fault){ gathering->next++, *fault };
}

/* The route of the draft that was composed: nearly always that of the one
 * before it. */
static const char *
share_route(struct gathering *gathering)
{
    const char *names = gathering->recipe->prompt.names.data;
    size_t count = gathering->route_count;

    assert(gathering->recipe->prompt.names.bytes < REQUEST_ROUTE_BYTES);
    if (count > 0 && strcmp(gathering->routes[count - 1], names) == 0)
        return gathering->routes[count - 1];
    gathering->routes =
        extend(gathering->routes, count, &gathering->route_capacity,
               sizeof(gathering->routes[0]));
    gathering->routes[gathering->route_count++] = mem_dup_str(names);
    return gathering->routes[count];
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
    const struct prompt *prompt = &gathering->recipe->prompt;
    const struct line *line = gathering->line;
    struct slice id = json_raw(&line->doc, line->id_token);
    struct slice meta = json_raw(&line->doc, line->fields[LINE_METADATA]);
    struct new_draft *draft;

    gathering->drafts = extend(gathering->drafts, gathering->count,
                               &gathering->capacity, sizeof(*draft));
    draft = &gathering->drafts[gathering->count++];
    *draft = (struct new_draft){
        .draft = { .index = gathering->next++,
                   .at = offset_in(body, text),
                   .bytes = (uint32_t)text.bytes,
                   .line_check = draft_line_check(text),
                   .id_at = offset_in(text, id),
                   .id_bytes = (uint32_t)id.bytes,
                   .meta_at = meta.bytes ? offset_in(text, meta) : 0,
                   .meta_bytes = (uint32_t)meta.bytes },
        .id = { NULL, line->id.bytes },
        .kind = prompt->kind,
        .route = share_route(gathering),
        .model = prompt->model_tag,
        .tag = prompt->tag,
        .chars = prompt->chars,
        .tokens = prompt_tokens(prompt, gathering->conf),
    };
    memcpy(draft->key, prompt->key, sizeof(draft->key));
    buf_add_slice(&gathering->ids, buf_slice(&line->id));
}

bool
gather_line(struct gathering *gathering, struct slice body, struct slice text,
            struct line_fault *fault)
{
    struct recipe *recipe = gathering->recipe;
    struct line *line = gathering->line;

    if (line_read(line, gathering->conf, text, fault) < 0 ||
        (gathering->fits &&
         !gathering->fits(gathering->context, line, fault)) ||
        prompt_make(&recipe->prompt, line, &recipe->options, gathering->conf,
                    fault) < 0) {
        gather_refuse(gathering, fault);
        return false;
    }
    gather(gathering, body, text);
    return true;
}

void
gather_measure(struct gathering *gathering, struct slice body)
{
    digest_of(body.data, body.bytes, gathering->digest);
    gathering->line_count = (uint32_t)gather_count_lines(body);
}

void
gather_lines(struct gathering *gathering, struct slice body)
{
    static const struct line_fault by_client = { .code = "refused_by_client",
                                                 .message =
                                                     "the client refused it" };
    struct slice rest = body;

    assert(gathering->next == 0);
    while (rest.bytes) {
        struct slice text = slice_take_line(&rest);
        struct line_fault fault;

        if (text.bytes == 0)
            gather_refuse(gathering, &by_client);
        else
            (void)gather_line(gathering, body, text, &fault);
    }
    assert(gathering->next == gathering->line_count);
}

void
gather_cut(struct gathering *gathering, struct slice body)
{
    parts_cut(&gathering->parts, body, gathering->packer,
              &gathering->recipe->trial);
}

void
gather_ahead(struct gathering *gathering, struct slice body)
{
    gather_measure(gathering, body);
    gathering->batch = gathering->recipe->batch;
    if (gathering->line_count > (uint32_t)gathering->conf->chunk_drafts_max)
        return;
    gather_lines(gathering, body);
    gather_cut(gathering, body);
}

bool
gather_is_whole(const struct gathering *gathering)
{
    return gathering->line_count > 0 &&
           gathering->next == gathering->line_count;
}

size_t
gather_count_lines(struct slice body)
{
    size_t count = 0;

    while (body.bytes) {
        (void)slice_take_line(&body);
        count++;
    }
    return count;
}
