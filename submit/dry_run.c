/* SPDX-License-Identifier: MIT */
#include "submit/dry_run.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "submit/feed.h"

#define KEY_DIGITS  16
#define SLOTS_FIRST 1024
/* What a check takes: few enough that one header can refuse them all. */
#define DRAFTS_MAX 100

#define LINE_FORMAT "a line of the broker's check"

/* Different 64-bit keys, each with a number; key 0 stands for an empty slot. At
 * most half full. */
struct slot {
    uint64_t key;
    int64_t value;
};

struct keys {
    struct slot *slots;
    size_t slot_count; /* a power of two */
    size_t count;
    bool is_full;
};

struct sums {
    int64_t drafts, accepted, refused;
    int64_t cached, joined, duplicates, chars, tokens, groups;
    int64_t group_chars_max;
    struct keys requests;
    struct keys open_groups; /* characters of each one's open group */
};

/* Where a line of a chunk comes from. */
struct place {
    uint64_t place;
    bool is_refused; /* here, and reported already */
};

/* The chunk that is being filled. */
struct draft_chunk {
    struct buf body; /* the options, then lines */
    struct place *places;
    size_t count, count_max;
    size_t bytes_max; /* of the body */
    int64_t first;    /* index of its first draft */
};

static struct slot *
find(const struct keys *keys, uint64_t key)
{
    size_t mask = keys->slot_count - 1;
    size_t at = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15)) & mask;

    while (keys->slots[at].key != 0 && keys->slots[at].key != key)
        at = (at + 1) & mask;
    return &keys->slots[at];
}

static void
grow(struct keys *keys)
{
    struct keys larger = { .count = keys->count };

    larger.slot_count = keys->slot_count ? keys->slot_count * 2 : SLOTS_FIRST;
    larger.slots = mem_zalloc(larger.slot_count, sizeof(larger.slots[0]));
    for (size_t i = 0; i < keys->slot_count; i++) {
        if (keys->slots[i].key)
            *find(&larger, keys->slots[i].key) = keys->slots[i];
    }
    free(keys->slots);
    *keys = larger;
}

/* The slot of a key, new or not; NULL when there are too many. */
static struct slot *
keys_add(struct keys *keys, uint64_t key)
{
    struct slot *slot;

    if (keys->count >= DRY_RUN_KEYS_MAX) {
        keys->is_full = true;
        return NULL;
    }
    if (keys->count * 2 >= keys->slot_count)
        grow(keys);
    slot = find(keys, key ? key : 1);
    if (slot->key == 0) {
        slot->key = key ? key : 1;
        keys->count++;
    }
    return slot;
}

/* Puts a request into the open group of its kind, or into a new one, as the
 * broker would. */
static void
add_to_group(struct sums *sums, uint64_t kind, int64_t chars)
{
    struct slot *slot = keys_add(&sums->open_groups, kind);

    if (!slot || slot->value == 0 ||
        slot->value + chars >= sums->group_chars_max) {
        sums->groups++;
        /* One that is too long for any group goes alone. */
        if (slot && chars < sums->group_chars_max)
            slot->value = chars ? chars : 1;
    } else {
        slot->value += chars;
    }
}

/* Takes one word of the line; empty at its end. */
static struct slice
next_word(struct slice *line)
{
    const char *end = line->bytes ? memchr(line->data, ' ', line->bytes) : NULL;
    struct slice word = *line;

    if (end)
        word.bytes = (size_t)(end - line->data);
    line->data += word.bytes + (end ? 1 : 0);
    line->bytes -= word.bytes + (end ? 1 : 0);
    return word;
}

static int
read_number(struct slice word, int base, uint64_t *number)
{
    char text[KEY_DIGITS + 8], *end;

    if (word.bytes == 0 || word.bytes >= sizeof(text))
        return E_PROTOCOL;
    memcpy(text, word.data, word.bytes);
    text[word.bytes] = '\0';
    *number = strtoull(text, &end, base);
    return *end ? E_PROTOCOL : 0;
}

/* KEY GROUP CACHED CHARS TOKENS, or "-". */
static int
add_line(struct sums *sums, struct slice line)
{
    struct slice key = next_word(&line), group = next_word(&line);
    struct slice cached = next_word(&line);
    uint64_t request_key, group_key, chars, tokens;

    if (slice_is(key, "-"))
        return 0;
    if (read_number(key, 16, &request_key) < 0 ||
        read_number(group, 16, &group_key) < 0 ||
        read_number(next_word(&line), 10, &chars) < 0 ||
        read_number(next_word(&line), 10, &tokens) < 0) {
        return E_PROTOCOL;
    }
    sums->chars += (int64_t)chars;
    sums->tokens += (int64_t)tokens;
    if (slice_is(cached, "store")) {
        sums->cached++;
    } else if (slice_is(cached, "joined")) {
        sums->joined++;
    } else {
        struct slot *slot = keys_add(&sums->requests, request_key);

        if (slot && slot->value++ > 0)
            sums->duplicates++;
        else
            add_to_group(sums, group_key, (int64_t)chars);
    }
    return 0;
}

static int
add_lines(struct sums *sums, struct slice lines, struct err *err)
{
    while (lines.bytes > 0) {
        const char *end = memchr(lines.data, '\n', lines.bytes);
        struct slice line = lines;

        if (!end)
            return err_set(err, E_PROTOCOL, LINE_FORMAT " has no end");
        line.bytes = (size_t)(end - lines.data);
        if (add_line(sums, line) < 0)
            return err_set(err, E_PROTOCOL, LINE_FORMAT " cannot be read");
        lines.data += line.bytes + 1;
        lines.bytes -= line.bytes + 1;
    }
    return 0;
}

static const char *
text_of(const cJSON *item, const char *name)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(item, name);

    return cJSON_IsString(text) ? text->valuestring : "";
}

static void
report(struct command *command, const struct input *input,
       const struct draft_chunk *chunk, const cJSON *list)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        const cJSON *line = cJSON_GetObjectItemCaseSensitive(item, "line");
        struct sheaf_refusal refusal = { .field = text_of(item, "field"),
                                         .code = text_of(item, "code"),
                                         .message = text_of(item, "message") };
        size_t nth = 0;

        if (cJSON_IsNumber(line) && line->valuedouble >= 1 &&
            line->valuedouble <= (double)chunk->count) {
            nth = (size_t)line->valuedouble - 1;
        }
        refusal.index = chunk->first + (int64_t)nth;
        refusal.place = chunk->places[nth].place;
        if (!chunk->places[nth].is_refused)
            feed_report(command, input, &refusal);
    }
}

/* Sends the chunk and starts another one. */
static int
check(struct command *command, const struct input *input,
      struct draft_chunk *chunk, size_t options_bytes, struct sums *sums,
      struct err *err)
{
    cJSON *head = wire_new("check");
    struct wire reply;
    int64_t accepted;
    int rc;

    wire_add_int(head, "options_bytes", (int64_t)options_bytes);
    rc = command_ask(command, head, buf_slice(&chunk->body), &reply, err);
    if (rc == 0)
        rc = wire_int(&reply, "accepted", wire_range(0, (int64_t)chunk->count),
                      &accepted, err);
    if (rc == 0) {
        sums->accepted += accepted;
        report(command, input, chunk, wire_get(&reply, "refused"));
        rc = add_lines(sums, reply.body, err);
    }
    wire_fini(&reply);
    chunk->body.bytes = options_bytes;
    chunk->count = 0;
    chunk->first = sums->drafts;
    return rc;
}

static int
check_all(struct command *command, struct input *input, size_t options_bytes,
          struct draft_chunk *chunk, struct sums *sums, struct err *err)
{
    struct input_draft draft;
    int rc = 0;

    while (rc == 0 && input_next(input, &draft) == 0) {
        size_t bytes = chunk->body.bytes + draft.line.bytes + 1;

        if (chunk->count == chunk->count_max ||
            (chunk->count > 0 && bytes > chunk->bytes_max))
            rc = check(command, input, chunk, options_bytes, sums, err);
        if (draft.code) {
            struct sheaf_refusal refusal = { .index = sums->drafts,
                                             .place = draft.place,
                                             .field = draft.field,
                                             .code = draft.code,
                                             .message = draft.reason };

            feed_report(command, input, &refusal);
        }
        chunk->places[chunk->count++] =
            (struct place){ .place = draft.place, .is_refused = draft.code };
        buf_add_slice(&chunk->body, draft.line);
        buf_add_char(&chunk->body, '\n');
        sums->drafts++;
    }
    if (rc == 0 && chunk->count > 0)
        rc = check(command, input, chunk, options_bytes, sums, err);
    sums->refused = sums->drafts - sums->accepted;
    return rc;
}

static int
print_sums(const struct command *command, const struct sums *sums,
           struct err *err)
{
    const struct {
        const char *name, *title;
        int64_t value;
        bool is_bound;
    } rows[] = {
        { "drafts", "drafts", sums->drafts, false },
        { "accepted", "accepted", sums->accepted, false },
        { "refused", "refused", sums->refused, false },
        { "duplicates", "duplicates", sums->duplicates, false },
        { "cached", "answered by the store", sums->cached, false },
        { "joined", "joining others", sums->joined, false },
        { "requests", "upstream calls", (int64_t)sums->requests.count,
          sums->requests.is_full },
        { "groups", "groups", sums->groups, false },
        { "chars", "characters", sums->chars, false },
        { "tokens", "tokens (estimate)", sums->tokens, false },
    };
    struct buf text = { 0 };
    int rc;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (command->options->json) {
            buf_addf(&text, "%s\"%s\":%lld", i ? "," : "{", rows[i].name,
                     (long long)rows[i].value);
        } else {
            buf_addf(&text, "%-22s %s%lld\n", rows[i].title,
                     rows[i].is_bound ? "at least " : "",
                     (long long)rows[i].value);
        }
    }
    if (command->options->json)
        buf_add_str(&text, "}\n");
    rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

int
dry_run(struct command *command, struct input *input,
        const struct submission *submission, struct err *err)
{
    struct draft_chunk chunk = { .count = 0 };
    struct sheaf_welcome welcome;
    struct sheaf_error error;
    struct sums sums = { .drafts = 0 };
    int rc = command_connect(command, err);

    if (rc < 0)
        return rc;
    if (sheaf_hello(command->sheaf, &welcome, &error) < 0)
        return command_fail(command, &error, err);
    input_limit(input, (size_t)welcome.line_bytes_max);
    buf_add_slice(&chunk.body, buf_slice(&submission->options));
    chunk.bytes_max = (size_t)welcome.chunk_bytes_max;
    chunk.count_max = (size_t)welcome.chunk_drafts_max;
    if (chunk.count_max > DRAFTS_MAX)
        chunk.count_max = DRAFTS_MAX;
    sums.group_chars_max = welcome.group_chars_max;
    chunk.places = mem_zalloc(chunk.count_max, sizeof(chunk.places[0]));
    rc = check_all(command, input, submission->options.bytes, &chunk, &sums,
                   err);
    if (rc == 0)
        rc = print_sums(command, &sums, err);
    buf_fini(&chunk.body);
    free(chunk.places);
    free(sums.requests.slots);
    free(sums.open_groups.slots);
    if (rc < 0)
        return rc;
    return sums.refused > 0 || sums.drafts == 0 ? EXIT_FLAWED : 0;
}
