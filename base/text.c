/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <unicode/ubrk.h>
#include <unicode/ucasemap.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>

#include "base/mem.h"

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

    text = text_cut(text, TEXT_BYTES_MAX);
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

/* How many bytes follow a lead byte; 0 for ASCII and for what leads nothing. */
static size_t
trail_count(unsigned char lead)
{
    if (lead >= 0xC2 && lead <= 0xDF)
        return 1;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 2;
    return lead >= 0xF0 && lead <= 0xF4 ? 3 : 0;
}

/* The second byte of some sequences has a narrower range: no overlong forms, no
 * surrogates, nothing above U+10FFFF. */
static bool
is_trail(unsigned char lead, size_t place, unsigned char byte)
{
    unsigned char least = 0x80, most = 0xBF;

    if (place == 1) {
        if (lead == 0xE0)
            least = 0xA0;
        else if (lead == 0xED)
            most = 0x9F;
        else if (lead == 0xF0)
            least = 0x90;
        else if (lead == 0xF4)
            most = 0x8F;
    }
    return byte >= least && byte <= most;
}

/* Decodes the code point at the beginning. -1 if it is ill-formed; *used is
 * then the longest part that could have become one, as Unicode advises and as
 * ICU counts. The text is not empty. */
static int32_t
decode(struct slice text, size_t *used)
{
    const unsigned char *bytes = (const unsigned char *)text.data;
    size_t trails = trail_count(bytes[0]);
    int32_t c = bytes[0];

    *used = 1;
    if (c < 0x80)
        return c;
    if (trails == 0)
        return -1;
    c &= 0x3F >> trails;
    for (size_t i = 1; i <= trails; i++) {
        if (i == text.bytes || !is_trail(bytes[0], i, bytes[i]))
            return -1;
        c = c << 6 | (bytes[i] & 0x3F);
        *used = i + 1;
    }
    return c;
}

/* Decodes the code point at the end; *used is its length. The text is not
 * empty. */
static int32_t
decode_last(struct slice text, size_t *used)
{
    for (size_t back = 1; back <= 4 && back <= text.bytes; back++) {
        struct slice tail = { text.data + text.bytes - back, back };
        int32_t c;

        if (((unsigned char)tail.data[0] & 0xC0) == 0x80)
            continue;
        c = decode(tail, used);
        if (*used == back)
            return c;
        break;
    }
    *used = 1;
    return -1;
}

/* ICU counts a run of low lines as a word. */
static bool
has_letter_or_digit(struct slice text)
{
    int32_t c;

    while ((c = text_next(&text)) != TEXT_END) {
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
    text = text_cut(text, FOLD_BYTES_MAX);
    if (text.bytes == 0)
        return;
    if (!text_is_utf8(text)) {
        while ((c = text_next(&text)) != TEXT_END)
            text_add(&clean, c);
        text = buf_slice(&clean);
    }
    fold(rules, text, out);
    buf_fini(&clean);
}

size_t
text_count(struct slice text)
{
    size_t count = 0;

    while (text_next(&text) != TEXT_END)
        count++;
    return count;
}

bool
text_is_utf8(struct slice text)
{
    size_t used;

    while (text.bytes) {
        if (decode(text, &used) < 0)
            return false;
        text.data += used;
        text.bytes -= used;
    }
    return true;
}

struct slice
text_cut(struct slice text, size_t bytes_max)
{
    size_t at = bytes_max;

    if (text.bytes <= bytes_max)
        return text;
    /* Go back to the lead of a sequence that the limit would split. */
    for (size_t back = 1; back <= 3 && back <= bytes_max; back++) {
        unsigned char byte = (unsigned char)text.data[bytes_max - back];

        if ((byte & 0xC0) != 0x80) {
            if (trail_count(byte) >= back)
                at = bytes_max - back;
            break;
        }
    }
    text.bytes = at;
    return text;
}

struct slice
text_trim(struct slice text)
{
    size_t used;

    while (text.bytes && text_is_blank(decode_last(text, &used)))
        text.bytes -= used;
    while (text.bytes && text_is_blank(decode(text, &used))) {
        text.data += used;
        text.bytes -= used;
    }
    return text;
}

int32_t
text_next(struct slice *rest)
{
    size_t used;
    int32_t c;

    if (rest->bytes == 0)
        return TEXT_END;
    c = decode(*rest, &used);
    rest->data += used;
    rest->bytes -= used;
    return c < 0 ? TEXT_REPLACEMENT : c;
}

int32_t
text_first(struct slice text)
{
    return text_next(&text);
}

int32_t
text_last(struct slice text)
{
    size_t used;
    int32_t c;

    if (text.bytes == 0)
        return TEXT_END;
    c = decode_last(text, &used);
    return c < 0 ? TEXT_REPLACEMENT : c;
}

void
text_add(struct buf *buf, int32_t c)
{
    unsigned char bytes[4];
    size_t trails = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

    assert(c >= 0);
    assert(c <= 0x10FFFF);
    for (size_t i = trails; i > 0; i--) {
        bytes[i] = (unsigned char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    /* The lead byte begins with one more set bit than it has trails. */
    bytes[0] = (unsigned char)(trails ? (0xFF00 >> (trails + 1)) | c : c);
    buf_add(buf, bytes, trails + 1);
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
    return u_charType(c) == U_OTHER_SYMBOL && c != TEXT_REPLACEMENT;
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
    while (text.bytes) {
        size_t used;
        int32_t c = decode_last(text, &used);
        int kind = u_getIntPropertyValue(c, UCHAR_SENTENCE_BREAK);

        if (kind == U_SB_STERM || kind == U_SB_ATERM)
            return true;
        if (kind != U_SB_CLOSE && kind != U_SB_SP)
            return false;
        text.bytes -= used;
    }
    return false;
}
