/* SPDX-License-Identifier: MIT */
#include "worker/document.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/stopwords.h"
#include "base/utf8.h"

#define SENTENCE_WORDS_MIN 3 /* fewer is a heading or an exclamation */
#define HEADING_WORDS_MAX  12
#define ENUMERATOR_MAX     8 /* characters in `(viii)` */
#define ABBREVIATION_MAX   8

/* A text being taken apart. */
struct parser {
    struct document *document;
    struct text_rules *rules;
    struct sentence *lines; /* kept until there is a sentence */
    size_t line_count;
    size_t capacity; /* of document->sentences */
    size_t block;    /* number of the current block */
    size_t start;    /* where it begins in the document's text */
    size_t rows;     /* lines in it */
    bool is_list;    /* it began with a number */
    bool is_heading; /* marked as such */
};

static struct slice
drop(struct slice text, size_t bytes)
{
    return (struct slice){ text.data + bytes, text.bytes - bytes };
}

static struct slice
take_line(struct slice *rest)
{
    struct slice line = { rest->data, 0 };
    bool has_end;

    while (line.bytes < rest->bytes && line.data[line.bytes] != '\n' &&
           line.data[line.bytes] != '\r') {
        line.bytes++;
    }
    has_end = line.bytes < rest->bytes;
    *rest = drop(*rest, line.bytes + has_end);
    if (has_end && line.data[line.bytes] == '\r' && rest->bytes &&
        rest->data[0] == '\n') {
        *rest = drop(*rest, 1);
    }
    return line;
}

/* Without letter, digit or picture a line is blank or a rule. */
static bool
says_something(struct slice line)
{
    int32_t c;

    while ((c = utf8_next(&line)) != UTF8_END) {
        if (text_is_letter(c) || text_is_digit(c) || text_is_symbol(c))
            return true;
    }
    return false;
}

static bool
has_letter(struct slice text)
{
    int32_t c;

    while ((c = utf8_next(&text)) != UTF8_END) {
        if (text_is_letter(c))
            return true;
    }
    return false;
}

static bool
is_bullet(int32_t c)
{
    return c == '-' || c == '*' || c == '+' || c == '>' || c == 0x2022 ||
           c == 0x2013 || c == 0x2014 || c == 0x00B7 || c == 0x25CF;
}

/* The length of a list item's bullet, or of a heading's number signs, with the
 * blanks behind it; 0 if the line has none. */
static size_t
bullet_bytes(struct slice line)
{
    struct slice rest = line;
    int32_t c = utf8_next(&rest);

    while (c == '#' && utf8_first(rest) == '#')
        utf8_next(&rest);
    if ((c != '#' && !is_bullet(c)) || !text_is_blank(utf8_first(rest)))
        return 0;
    while (rest.bytes && text_is_blank(utf8_first(rest)))
        utf8_next(&rest);
    return line.bytes - rest.bytes;
}

/* The length of `1) `, `(iv) `, `12. `, `1.2. ` with the blanks behind it; 0 if
 * the line begins with none of them. */
static size_t
enumerator_bytes(struct slice line)
{
    bool is_open = line.bytes && line.data[0] == '(';
    size_t start = is_open, at = start, digits = 0, romans = 0, others = 0;

    for (; at < line.bytes && at - start <= ENUMERATOR_MAX; at++) {
        char c = line.data[at];

        if (c >= '0' && c <= '9')
            digits++;
        else if (c && strchr("ivxIVX", c))
            romans++;
        else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            others++;
        else if (c != '.' || digits == 0)
            break;
    }
    if (at == start || at == line.bytes || others > 1 || (others && romans))
        return 0;
    if (line.data[at] == ')')
        at++;
    else if (is_open || romans || others || line.data[at - 1] != '.')
        return 0;
    if (at == line.bytes || line.data[at] != ' ')
        return 0;
    while (at < line.bytes && line.data[at] == ' ')
        at++;
    return at;
}

/* True if the words begin with capitals as in a title, where only the likes of
 * `of` are small, and never the last one. */
static bool
is_title(struct text_rules *rules, struct slice text)
{
    struct slice word;
    size_t count = 0, capitals = 0;
    bool is_capital = false;

    text_words_begin(rules, text);
    while (text_word_next(rules, &word)) {
        is_capital = text_is_upper(utf8_first(word));
        capitals += is_capital;
        if (!is_capital && !text_is_digit(utf8_first(word)) &&
            !stopwords_has(STOPWORDS_ALL, word)) {
            return false;
        }
        if (++count > HEADING_WORDS_MAX)
            return false;
    }
    return is_capital && capitals * 2 >= count;
}

/* True for `Dr.`, `e.g.`, and the initial in `John F.`, behind which Unicode's
 * rules see the end of a sentence if a capital follows. */
static bool
is_abbreviated(struct slice text)
{
    static const char *const known[] = {
        "Mr",  "Mrs", "Ms",  "Dr",  "Prof", "St",  "Gen", "Col",  "Sen",
        "Rep", "Gov", "Lt",  "Sgt", "Rev",  "Hon", "vs",  "cf",   "e.g",
        "i.e", "Fig", "fig", "Vol", "vol",  "al",  "Hr",  "Frau", "Mme",
        "z.B", "d.h", "bzw", "ca",  "Nr",   "Sr",  "Sra", "Mlle",
    };
    struct slice word = { text.data + text.bytes, 0 };
    int32_t before = UTF8_END;

    if (text.bytes < 2 || word.data[-1] != '.')
        return false;
    for (word.data--; word.data > text.data && word.data[-1] != ' ';
         word.data--) {
        if (++word.bytes > ABBREVIATION_MAX)
            return false;
    }
    while (word.bytes && strchr("([\"'", word.data[0]))
        word = drop(word, 1);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (slice_is(word, known[i]))
            return true;
    }
    if (utf8_count(word) != 1 || !text_is_upper(utf8_first(word)))
        return false;
    /* The word before an initial is a name: `vitamin C.` ends a sentence. */
    text.bytes = (size_t)(word.data - text.data);
    text = text_trim(text);
    for (size_t at = text.bytes; at > 0 && text.data[at - 1] != ' '; at--)
        before = utf8_first(drop(text, at - 1));
    return before == UTF8_END || text_is_upper(before);
}

/* A title may be a line of its own, or what follows an item's number. */
static bool
is_heading(const struct parser *parser, struct slice text)
{
    size_t offset = (size_t)(text.data - parser->document->text.data);
    bool is_first = offset == parser->start;
    bool is_last = offset + text.bytes == parser->document->text.bytes;

    return parser->is_heading ||
           (is_first && (parser->is_list || (is_last && parser->rows == 1)) &&
            is_title(parser->rules, text));
}

static bool
is_sentence(const struct parser *parser, struct slice text, size_t words)
{
    return words >= SENTENCE_WORDS_MIN && has_letter(text) &&
           (text_is_closed(text) || text_is_unspaced(utf8_last(text))) &&
           !is_heading(parser, text);
}

static void
keep(struct parser *parser, struct slice text, size_t parts)
{
    struct document *document = parser->document;
    struct sentence sentence = {
        .offset = (size_t)(text.data - document->text.data),
        .bytes = text.bytes,
        .parts = parts,
        .block = parser->block,
    };

    if (document->count == DOCUMENT_SENTENCES_MAX || !says_something(text))
        return;
    document_measure(parser->rules, text, &sentence);
    if (is_sentence(parser, text, sentence.words)) {
        if (document->count == parser->capacity) {
            parser->capacity = parser->capacity * 2 + 16;
            document->sentences =
                mem_grow(document->sentences, parser->capacity,
                         sizeof(document->sentences[0]));
        }
        document->sentences[document->count++] = sentence;
    } else if (parser->line_count < DOCUMENT_LINES_MAX &&
               (has_letter(text) || parser->line_count == 0)) {
        parser->lines[parser->line_count++] = sentence;
    }
}

/* Splits the block that ends here into sentences. */
static void
end_block(struct parser *parser)
{
    struct buf *text = &parser->document->text;
    struct slice block, part, whole = { 0 };
    size_t parts = 0;

    block = drop(buf_slice(text), parser->start);
    if (has_letter(block))
        parser->start += enumerator_bytes(block);
    block = drop(buf_slice(text), parser->start);
    text_sentences_begin(parser->rules, block);
    while (block.bytes && text_sentence_next(parser->rules, &part)) {
        if (parts == 0)
            whole = part;
        whole.bytes = (size_t)(part.data + part.bytes - whole.data);
        parts++;
        if (is_abbreviated(whole))
            continue;
        keep(parser, whole, parts);
        parts = 0;
    }
    if (parts)
        keep(parser, whole, parts);
    parser->start = text->bytes;
    parser->rows = 0;
    parser->is_heading = false;
    parser->is_list = false;
    parser->block++;
}

/* Adds a line to the block, its white space folded. */
static void
add_line(struct parser *parser, struct slice line)
{
    struct buf *text = &parser->document->text;
    bool has_blank = parser->rows > 0;
    bool is_join = has_blank && text_is_wide(utf8_last(buf_slice(text))) &&
                   text_is_wide(utf8_first(line));
    int32_t c;

    parser->rows++;
    while ((c = utf8_next(&line)) != UTF8_END) {
        if (text_is_blank(c)) {
            has_blank = true;
            continue;
        }
        if (has_blank && !is_join)
            buf_add_char(text, ' ');
        is_join = false;
        has_blank = false;
        utf8_add(text, c);
    }
}

/* A number at the beginning of a line begins an item, unless a sentence goes on
 * there ("see section\n3. It ..."). */
static bool
begins_item(const struct parser *parser, struct slice line)
{
    struct slice block =
        drop(buf_slice(&parser->document->text), parser->start);

    if (enumerator_bytes(line) == 0)
        return false;
    return parser->is_list || text_is_closed(block) ||
           utf8_last(block) == ':' || utf8_last(block) == ';';
}

static void
parse_line(struct parser *parser, struct slice line)
{
    size_t bullet;

    line = text_trim(line);
    if (!says_something(line)) {
        end_block(parser);
        return;
    }
    bullet = bullet_bytes(line);
    /* A quotation's lines all begin with the same mark: they go on. */
    if ((bullet && line.data[0] != '>') || begins_item(parser, line))
        end_block(parser);
    if (parser->rows == 0)
        parser->is_list = enumerator_bytes(line) > 0;
    parser->is_heading = bullet && line.data[0] == '#';
    add_line(parser, drop(line, bullet));
    if (parser->is_heading)
        end_block(parser);
}

/* The first line is kept even if it is but a number, in case nothing follows;
 * here something did. */
static void
drop_number(struct document *document)
{
    if (document->count > 1 && !has_letter(document_sentence(document, 0))) {
        document->count--;
        memmove(document->sentences, document->sentences + 1,
                document->count * sizeof(document->sentences[0]));
    }
}

void
document_init(struct document *document, struct text_rules *rules,
              struct slice text)
{
    struct parser parser = { .document = document, .rules = rules };

    *document = (struct document){ 0 };
    parser.lines = mem_zalloc(DOCUMENT_LINES_MAX, sizeof(parser.lines[0]));
    text = utf8_cut(text, DOCUMENT_BYTES_MAX);
    while (text.bytes && document->count < DOCUMENT_SENTENCES_MAX)
        parse_line(&parser, take_line(&text));
    end_block(&parser);
    document->has_sentences = document->count > 0;
    if (document->has_sentences) {
        free(parser.lines);
    } else {
        free(document->sentences);
        document->sentences = parser.lines;
        document->count = parser.line_count;
        drop_number(document);
    }
}

void
document_fini(struct document *document)
{
    buf_fini(&document->text);
    free(document->sentences);
    *document = (struct document){ 0 };
}

struct slice
document_sentence(const struct document *document, size_t index)
{
    const struct sentence *sentence = &document->sentences[index];

    assert(index < document->count);
    return (struct slice){ document->text.data + sentence->offset,
                           sentence->bytes };
}

void
document_measure(struct text_rules *rules, struct slice text,
                 struct sentence *sentence)
{
    struct slice word;
    size_t words = 0, chunks = 0;
    bool is_chunk = false;
    int32_t c;

    text_words_begin(rules, text);
    while (text_word_next(rules, &word))
        words++;
    sentence->characters = 0;
    while ((c = utf8_next(&text)) != UTF8_END) {
        chunks += !is_chunk && !text_is_blank(c);
        is_chunk = !text_is_blank(c);
        sentence->characters++;
    }
    sentence->words = words > chunks ? words : chunks;
}
