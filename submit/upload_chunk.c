/* SPDX-License-Identifier: MIT */
#include "submit/upload_chunk.h"

#include <stdlib.h>

#include "base/mem.h"

void
upload_chunk_open(struct upload_chunk *chunk, int64_t first, size_t drafts_max,
                  size_t bytes)
{
    chunk->first = first;
    chunk->places = mem_zalloc(drafts_max, sizeof(chunk->places[0]));
    buf_reserve(&chunk->text, bytes);
}

void
upload_chunk_add(struct upload_chunk *chunk, struct slice line, uint64_t place)
{
    chunk->places[chunk->count++] =
        (struct place){ .place = place, .is_empty = line.bytes == 0 };
    chunk->empties += line.bytes == 0;
    buf_add_slice(&chunk->text, line);
    buf_add_char(&chunk->text, '\n');
}

void
upload_chunk_fini(struct upload_chunk *chunk)
{
    link_body_free(chunk->body);
    buf_fini(&chunk->text);
    free(chunk->places);
    *chunk = (struct upload_chunk){ 0 };
}

/* True if the broker, and not the caller, has refused the draft `index`. */
static bool
is_of_broker(const struct upload_chunk *chunk, int64_t index)
{
    return index >= chunk->first &&
           index < chunk->first + (int64_t)chunk->count &&
           !chunk->places[index - chunk->first].is_empty;
}

static const char *
text_of(const cJSON *item, const char *name)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(item, name);

    return cJSON_IsString(text) ? text->valuestring : "";
}

/* The index of an entry of `refused`; -1 if it has none. */
static int64_t
index_of(const cJSON *item)
{
    const cJSON *index = cJSON_GetObjectItemCaseSensitive(item, "index");

    return cJSON_IsNumber(index) ? (int64_t)index->valuedouble : -1;
}

int64_t
upload_chunk_count(const struct upload_chunk *chunk, const cJSON *list)
{
    const cJSON *item;
    int64_t count = 0;

    cJSON_ArrayForEach(item, list) count += is_of_broker(chunk, index_of(item));
    return count;
}

void
upload_chunk_tell(const struct upload_chunk *chunk,
                  const struct sheaf_refusal *refusal,
                  const struct listener *listener)
{
    struct sheaf_refusal told = *refusal;

    if (!listener->refused || !is_of_broker(chunk, refusal->index))
        return;
    told.place = chunk->places[refusal->index - chunk->first].place;
    listener->refused(listener->arg, &told);
}

void
upload_chunk_tell_all(const struct upload_chunk *chunk, const cJSON *list,
                      const struct listener *listener)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        struct sheaf_refusal refusal = { .index = index_of(item),
                                         .field = text_of(item, "field"),
                                         .code = text_of(item, "code"),
                                         .message = text_of(item, "message") };

        upload_chunk_tell(chunk, &refusal, listener);
    }
}
