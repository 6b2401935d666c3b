/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <unicode/ubrk.h>
#include <unicode/ucasemap.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>

#include "base/mem.h"
#include "base/utf8.h"

/* The root locale: the same breaks wherever the process runs. */
#define RULES_LOCALE "root"

/* ICU counts in int32_t, and bytes that are no UTF-8 become three times as many
 * before folding makes up to three of one. */
#define FOLD_BYTES_MAX (TEXT_BYTES_MAX / 8)

struct walk {
    UBreakIterator *breaks;
    UText *view;       /* of text */
    struct slice text; /* borrowed until the walk ends */
    int32_t start;     /* where the next segment begins */
};

struct text_rules {
    struct walk words, sentences;
    UCaseMap *cases;
};

static int
walk_open(struct walk *walk, UBreakIteratorType type, struct err *err)
{
    UErrorCode status = U_ZERO_ERROR;

    walk->breaks = ubrk_open(type, RULES_LOCALE, NULL, 0, &status);
    if (U_FAILURE(status))
        return err_set(err, E_IO, "open break rules: %s", u_errorName(status));
    return 0;
}

static void
walk_close(struct walk *walk)
{
    if (walk->breaks)
        ubrk_close(walk->breaks);
    utext_close(walk->view); /* NULL is fine */
}

static void
walk_begin(struct walk *walk, struct slice text)
{
    UErrorCode status = U_ZERO_ERROR;

    text = utf8_cut(text, TEXT_BYTES_MAX);
    if (text.bytes == 0)
        text = slice_of("");
    walk->text = text;
    walk->view =
        utext_openUTF8(walk->view, text.data, (int64_t)text.bytes, &status);
    ubrk_setUText(walk->breaks, walk->view, &status);
    assert(U_SUCCESS(status)); /* it fails only when out of memory */
    walk->start = ubrk_first(walk->breaks);
}

static bool
walk_next(struct walk *walk, struct slice *segment)
{
    int32_t end = ubrk_next(walk->breaks);

    if (end == UBRK_DONE)
        return false;
    assert(end > walk->start);
    segment->data = walk->text.data + walk->start;
    segment->bytes = (size_t)(end - walk->start);
    walk->start = end;
    return true;
}

/* ICU counts a run of low lines as a word. */
static bool
has_letter_or_digit(struct slice text)
{
    int32_t c;

    while ((c = utf8_next(&text)) != UTF8_END) {
        if (text_is_letter(c) || text_is_digit(c))
            return true;
    }
    return false;
}

struct text_rules *
text_rules_new(struct err *err)
{
    struct text_rules *rules = mem_zalloc(1, sizeof(*rules));
    UErrorCode status = U_ZERO_ERROR;

    if (walk_open(&rules->words, UBRK_WORD, err) < 0 ||
        walk_open(&rules->sentences, UBRK_SENTENCE, err) < 0) {
        goto fail;
    }
    rules->cases = ucasemap_open("", U_FOLD_CASE_DEFAULT, &status);
    if (U_FAILURE(status)) {
        err_set(err, E_IO, "open case rules: %s", u_errorName(status));
        goto fail;
    }
    return rules;
fail:
    text_rules_free(rules);
    return NULL;
}

void
text_rules_free(struct text_rules *rules)
{
    if (!rules)
        return;
    walk_close(&rules->words);
    walk_close(&rules->sentences);
    if (rules->cases)
        ucasemap_close(rules->cases);
    free(rules);
}

void
text_words_begin(struct text_rules *rules, struct slice text)
{
    walk_begin(&rules->words, text);
}

bool
text_word_next(struct text_rules *rules, struct slice *word)
{
    while (walk_next(&rules->words, word)) {
        int32_t kind = ubrk_getRuleStatus(rules->words.breaks);

        if (kind >= UBRK_WORD_NONE_LIMIT && has_letter_or_digit(*word))
            return true;
    }
    return false;
}

void
text_sentences_begin(struct text_rules *rules, struct slice text)
{
    walk_begin(&rules->sentences, text);
}

bool
text_sentence_next(struct text_rules *rules, struct slice *sentence)
{
    while (walk_next(&rules->sentences, sentence)) {
        *sentence = text_trim(*sentence);
        if (sentence->bytes)
            return true;
    }
    return false;
}

/* Adds the folded text, which is well-formed: ICU would let other bytes by. */
static void
fold(struct text_rules *rules, struct slice text, struct buf *out)
{
    int32_t room = (int32_t)text.bytes + 1, bytes;

    for (;;) {
        UErrorCode status = U_ZERO_ERROR;
        char *end = buf_reserve(out, (size_t)room);

        bytes = ucasemap_utf8FoldCase(rules->cases, end, room, text.data,
                                      (int32_t)text.bytes, &status);
        if (status != U_BUFFER_OVERFLOW_ERROR) {
            assert(U_SUCCESS(status));
            break;
        }
        room = bytes + 1; /* folding made it longer; now it fits */
    }
    buf_commit(out, (size_t)bytes);
}

void
text_fold(struct text_rules *rules, struct slice text, struct buf *out)
{
    struct buf clean = { 0 };
    int32_t c;

    buf_reset(out);
    text = utf8_cut(text, FOLD_BYTES_MAX);
    if (text.bytes == 0)
        return;
    if (!utf8_is_valid(text)) {
        while ((c = utf8_next(&text)) != UTF8_END)
            utf8_add(&clean, c);
        text = buf_slice(&clean);
    }
    fold(rules, text, out);
    buf_fini(&clean);
}

struct slice
text_trim(struct slice text)
{
    struct slice rest = text;

    while (text_is_blank(utf8_previous(&rest)))
        text = rest;
    rest = text;
    while (text_is_blank(utf8_next(&rest)))
        text = rest;
    return text;
}

bool
text_is_letter(int32_t c)
{
    return u_isUAlphabetic(c);
}

bool
text_is_digit(int32_t c)
{
    return u_isdigit(c);
}

bool
text_is_upper(int32_t c)
{
    return u_isUUppercase(c) || u_istitle(c);
}

bool
text_is_lower(int32_t c)
{
    return u_isULowercase(c);
}

bool
text_is_blank(int32_t c)
{
    return u_isUWhiteSpace(c) || u_charType(c) == U_CONTROL_CHAR ||
           c == 0xFEFF; /* byte-order mark */
}

bool
text_is_symbol(int32_t c)
{
    return u_charType(c) == U_OTHER_SYMBOL && c != UTF8_REPLACEMENT;
}

bool
text_is_wide(int32_t c)
{
    int width;

    if (c < 0x1100 || u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE))
        return false; /* Korean puts spaces between words */
    width = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
    return (width == U_EA_WIDE || width == U_EA_FULLWIDTH) &&
           !text_is_symbol(c);
}

bool
text_is_unspaced(int32_t c)
{
    return u_getIntPropertyValue(c, UCHAR_LINE_BREAK) == U_LB_COMPLEX_CONTEXT;
}

bool
text_is_closed(struct slice text)
{
    int32_t c;

    while ((c = utf8_previous(&text)) != UTF8_END) {
        int kind = u_getIntPropertyValue(c, UCHAR_SENTENCE_BREAK);

        if (kind == U_SB_STERM || kind == U_SB_ATERM)
            return true;
        if (kind != U_SB_CLOSE && kind != U_SB_SP)
            return false;
    }
    return false;
}
