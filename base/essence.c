/* SPDX-License-Identifier: MIT */
#include "base/essence.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/redact.h"
#include "base/stopwords.h"
#include "base/utf8.h"

#define SLOT_COUNT (ESSENCE_CANDIDATES_MAX * 2) /* a power of two */

/* The weight of a word: how often it occurs, with a premium for names and
 * numbers that is worth a few occurrences, and a little for length. */
#define WEIGHT_OCCURRENCE 10
#define WEIGHT_REMARKABLE 25
#define OCCURRENCES_MAX   10
#define LENGTH_MAX        12
#define LENGTH_WIDE       3 /* what an ideograph counts for */

struct candidate {
    struct slice token;   /* its first appearance; borrowed from the input */
    size_t folded_offset; /* in candidates.folded */
    size_t folded_bytes;
    unsigned count;
    unsigned count_inside;  /* not at the beginning of a sentence */
    unsigned count_capital; /* of those, the capitalised */
    bool is_from_goal;
    unsigned weight;
};

/* The distinct words so far, in order of first appearance, and a hash table of
 * their places plus one. */
struct candidates {
    struct candidate list[ESSENCE_CANDIDATES_MAX];
    size_t count;
    uint16_t slots[SLOT_COUNT];
    struct buf folded;
};

static size_t
hash(struct slice word)
{
    uint64_t h = 0xCBF29CE484222325U; /* FNV-1a */

    for (size_t i = 0; i < word.bytes; i++)
        h = (h ^ (unsigned char)word.data[i]) * 0x100000001B3U;
    return (size_t)(h ^ h >> 32);
}

/* The candidate with this folded form, new if there is room. NULL if not. */
static struct candidate *
find(struct candidates *all, struct slice folded, struct slice token)
{
    size_t slot = hash(folded) & (SLOT_COUNT - 1);
    struct candidate *found;

    for (; all->slots[slot]; slot = (slot + 1) & (SLOT_COUNT - 1)) {
        struct slice known;

        found = &all->list[all->slots[slot] - 1];
        known.data = all->folded.data + found->folded_offset;
        known.bytes = found->folded_bytes;
        if (slice_equal(known, folded))
            return found;
    }
    if (all->count == ESSENCE_CANDIDATES_MAX)
        return NULL;
    found = &all->list[all->count++];
    *found = (struct candidate){ .token = token,
                                 .folded_offset = all->folded.bytes,
                                 .folded_bytes = folded.bytes };
    buf_add_slice(&all->folded, folded);
    all->slots[slot] = (uint16_t)all->count;
    return found;
}

/* True if what stands before a word leaves it in the middle of a sentence:
 * there the capital of a name is a choice, not a rule. */
static bool
is_inside_sentence(struct slice gap)
{
    unsigned lines = 0;
    int32_t c;

    while ((c = utf8_next(&gap)) != UTF8_END) {
        lines += c == '\n';
        if (!text_is_blank(c) && (c >= 0x80 || !strchr(",;-/()&'", (char)c)))
            return false;
    }
    return lines <= 1;
}

/* True for a capital at the beginning or inside, `Müller`, `iPhone`. */
static bool
has_capital(struct slice token)
{
    int32_t c;

    while ((c = utf8_next(&token)) != UTF8_END) {
        if (text_is_upper(c))
            return true;
    }
    return false;
}

/* A word of one letter says nothing, unless it is an ideograph. */
static bool
is_meaningful(struct slice token)
{
    int32_t c = utf8_first(token);

    return token.bytes <= ESSENCE_TOKEN_BYTES_MAX &&
           (utf8_count(token) > 1 || text_is_digit(c) || text_is_wide(c));
}

static void
collect(struct candidates *all, struct text_rules *rules, struct slice text,
        bool is_goal)
{
    unsigned languages;
    struct buf folded = { 0 };
    struct slice token;
    const char *end;
    bool is_first = true;

    text = utf8_cut(text, ESSENCE_TEXT_BYTES_MAX);
    end = text.data;
    languages = stopwords_guess(rules, text);
    text_words_begin(rules, text);
    while (text_word_next(rules, &token)) {
        struct slice gap = { end, (size_t)(token.data - end) };
        bool is_inside = !is_first && is_inside_sentence(gap);
        struct candidate *found;

        end = token.data + token.bytes;
        is_first = false;
        if (!is_meaningful(token))
            continue;
        text_fold(rules, token, &folded);
        if (stopwords_has(languages, buf_slice(&folded)))
            continue;
        found = find(all, buf_slice(&folded), token);
        if (!found)
            continue;
        if (found->count++ == 0)
            found->is_from_goal = is_goal;
        found->count_inside += is_inside;
        found->count_capital += is_inside && has_capital(token);
    }
    buf_fini(&folded);
}

static unsigned
weigh(const struct candidate *word)
{
    struct slice rest = word->token;
    unsigned occurrences = word->count, length = 0, digits = 0;
    bool is_remarkable;
    int32_t c;

    while ((c = utf8_next(&rest)) != UTF8_END) {
        length += text_is_wide(c) ? LENGTH_WIDE : 1;
        digits += text_is_digit(c);
    }
    if (occurrences > OCCURRENCES_MAX)
        occurrences = OCCURRENCES_MAX;
    if (length > LENGTH_MAX)
        length = LENGTH_MAX;
    is_remarkable = (digits && length > 1) ||
                    (word->count_capital > 0 &&
                     word->count_capital * 2 >= word->count_inside);
    return occurrences * WEIGHT_OCCURRENCE + length +
           (is_remarkable ? WEIGHT_REMARKABLE : 0);
}

/* The text before the goal, then the weightier, then the earlier. */
static bool
is_better(const struct candidate *a, const struct candidate *b)
{
    if (a->is_from_goal != b->is_from_goal)
        return b->is_from_goal;
    if (a->weight != b->weight)
        return a->weight > b->weight;
    return a < b;
}

/* Puts the best candidates into `chosen`, in order of first appearance, and
 * returns how many there are. */
static size_t
choose(struct candidates *all, const struct candidate **chosen)
{
    size_t count = 0, place;

    for (size_t i = 0; i < all->count; i++) {
        struct candidate *word = &all->list[i];

        word->weight = weigh(word);
        for (place = count; place > 0; place--) {
            if (!is_better(word, chosen[place - 1]))
                break;
            if (place < ESSENCE_TOKENS_MAX)
                chosen[place] = chosen[place - 1];
        }
        if (place < ESSENCE_TOKENS_MAX)
            chosen[place] = word;
        if (count < ESSENCE_TOKENS_MAX)
            count++;
    }
    /* The list is in order of appearance, so places in it are that order. */
    for (size_t i = 1; i < count; i++) {
        const struct candidate *word = chosen[i];

        for (place = i; place > 0 && chosen[place - 1] > word; place--)
            chosen[place] = chosen[place - 1];
        chosen[place] = word;
    }
    return count;
}

void
essence_tokens(struct text_rules *rules, struct slice text, struct slice goal,
               const char *status, struct buf *out)
{
    struct candidates *all = mem_zalloc(1, sizeof(*all));
    const struct candidate *chosen[ESSENCE_TOKENS_MAX] = { NULL };
    size_t count;

    collect(all, rules, text, false);
    if (all->count < ESSENCE_TOKENS_MAX)
        collect(all, rules, goal, true);
    count = choose(all, chosen);
    for (size_t i = 0; i < count; i++) {
        buf_add_slice(out, chosen[i]->token);
        buf_add_char(out, ' ');
    }
    buf_addf(out, "[%s]", status);
    buf_fini(&all->folded);
    free(all);
}

void
essence_error(const char *status, struct slice message, struct buf *out)
{
    struct buf clean = { 0 }, safe = { 0 };
    struct slice rest = utf8_cut(message, ESSENCE_TEXT_BYTES_MAX);
    int32_t c;

    while ((c = utf8_next(&rest)) != UTF8_END)
        utf8_add(&clean, text_is_blank(c) ? ' ' : c);
    redact(text_trim(buf_slice(&clean)), &safe);
    buf_reset(&clean);
    buf_addf(&clean, "[%s] ", status);
    buf_add_slice(&clean, buf_slice(&safe));
    buf_add_slice(
        out, text_trim(utf8_cut(buf_slice(&clean), ESSENCE_ERROR_BYTES_MAX)));
    buf_fini(&clean);
    buf_fini(&safe);
}
