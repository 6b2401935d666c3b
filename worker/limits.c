/* SPDX-License-Identifier: MIT */
#include "worker/limits.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define ADJECTIVES_MAX 2 /* "three short English sentences" */
#define CLAUSE_MAX     8 /* tokens that "each sentence" reaches over */

enum token_kind { TOKEN_BREAK, TOKEN_MARK, TOKEN_WORD, TOKEN_NUMBER };

struct token {
    enum token_kind kind;
    struct slice text; /* borrowed from the instruction */
    size_t value;      /* of a number */
};

/* The first and the last token are breaks: whoever looks at the neighbour of a
 * token that is no break finds one. */
struct tokens {
    struct token *list;
    size_t count;
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes of other scripts count as letters: their words are no keywords. */
static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

static bool
is_word(const struct token *token, const char *word)
{
    return token->text.bytes == strlen(word) &&
           strncasecmp(token->text.data, word, token->text.bytes) == 0;
}

/* True if the token is one of the words in the list, which are separated and
 * enclosed by blanks. */
static bool
is_any(const struct token *token, const char *list)
{
    size_t bytes = token->text.bytes;

    if (bytes == 0)
        return false;
    for (const char *at = list + 1; *at; at += strcspn(at, " ") + 1) {
        if (strcspn(at, " ") == bytes &&
            strncasecmp(token->text.data, at, bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* The value of a number word; 0 if it is none. */
static size_t
number_of(const struct token *token)
{
    static const struct {
        const char *word;
        size_t value;
    } numbers[] = {
        { "one", 1 },       { "single", 1 },   { "two", 2 },
        { "three", 3 },     { "four", 4 },     { "five", 5 },
        { "six", 6 },       { "seven", 7 },    { "eight", 8 },
        { "nine", 9 },      { "ten", 10 },     { "eleven", 11 },
        { "twelve", 12 },   { "fifteen", 15 }, { "twenty", 20 },
        { "thirty", 30 },   { "forty", 40 },   { "fifty", 50 },
        { "hundred", 100 },
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (is_word(token, numbers[i].word))
            return numbers[i].value;
    }
    return 0;
}

/* Reads digits, and commas between groups of three. */
static size_t
read_digits(struct slice text, struct token *token)
{
    size_t at = 0, value = 0;

    for (; at < text.bytes; at++) {
        bool is_group = text.bytes - at > 3 && text.data[at] == ',' &&
                        is_digit(text.data[at + 1]) &&
                        is_digit(text.data[at + 2]) &&
                        is_digit(text.data[at + 3]);

        if (is_group)
            continue;
        if (!is_digit(text.data[at]))
            break;
        value = value * 10 + (size_t)(text.data[at] - '0');
        if (value > LIMITS_NUMBER_MAX)
            value = LIMITS_NUMBER_MAX;
    }
    token->kind = TOKEN_NUMBER;
    token->value = value;
    return at;
}

/* Reads one token from the beginning of the text; returns its length. */
static size_t
read_token(struct slice text, struct token *token)
{
    size_t bytes = 1;

    *token = (struct token){ .kind = TOKEN_MARK };
    if (is_digit(text.data[0])) {
        bytes = read_digits(text, token);
    } else if (is_letter(text.data[0])) {
        while (bytes < text.bytes && is_letter(text.data[bytes]))
            bytes++;
        token->kind = TOKEN_WORD;
    } else if (strchr("\n.;:!?", text.data[0])) {
        token->kind = TOKEN_BREAK;
    }
    token->text = (struct slice){ text.data, bytes };
    if (token->kind == TOKEN_WORD) {
        token->value = number_of(token);
        if (token->value)
            token->kind = TOKEN_NUMBER;
    }
    return bytes;
}

static struct tokens
read_tokens(struct slice text)
{
    struct tokens tokens = { mem_zalloc(text.bytes + 2, sizeof(struct token)),
                             1 };

    while (text.bytes) {
        struct token *token = &tokens.list[tokens.count], *before = token - 1;
        size_t bytes = 1;

        if (!strchr(" \t\r", text.data[0])) {
            bytes = read_token(text, token);
            if (is_word(token, "hundred") && before->kind == TOKEN_NUMBER &&
                before->value < 10) {
                before->value *= 100;
            } else {
                tokens.count++;
            }
        }
        text.data += bytes;
        text.bytes -= bytes;
    }
    tokens.count++; /* zeroed: a break */
    return tokens;
}

/* The field that a unit's limit goes to; NULL if the token is no unit. */
static size_t *
unit_of(const struct token *token, struct limits *limits)
{
    if (is_any(token, " sentence sentences "))
        return &limits->sentences_max;
    if (is_any(token, " word words "))
        return &limits->words_max;
    if (is_any(token, " character characters char chars "))
        return &limits->characters_max;
    return NULL;
}

/* The place of the number that counts the unit, over a hyphen and adjectives.
 * 0 if there is none. */
static size_t
find_number(const struct tokens *tokens, size_t unit)
{
    size_t adjectives = 0;

    for (size_t at = unit - 1; at > 0; at--) {
        const struct token *token = &tokens->list[at];

        if (token->kind == TOKEN_NUMBER)
            return at;
        if (token->kind == TOKEN_MARK && is_word(token, "-"))
            continue;
        if (token->kind != TOKEN_WORD || ++adjectives > ADJECTIVES_MAX ||
            is_any(token, " and or of the per each than to few in more less "
                          "fewer sentence sentences word words ")) {
            return 0;
        }
    }
    return 0;
}

/* "2 to 3 sentences", "2-3 sentences": the place of the first number. */
static size_t
skip_range(const struct tokens *tokens, size_t number)
{
    if (number > 2 && tokens->list[number - 2].kind == TOKEN_NUMBER &&
        is_any(&tokens->list[number - 1], " - to or and \xE2\x80\x93 ")) {
        return number - 2;
    }
    return number;
}

enum sense { SENSE_AT_MOST, SENSE_LESS_THAN, SENSE_NO_LIMIT };

/* What the words before a number make of it. The list begins with a break, so
 * the tokens in front of a break exist or are not looked at. */
static enum sense
sense_before(const struct tokens *tokens, size_t number)
{
    static const struct token nothing = { 0 };
    const struct token *first = &tokens->list[number - 1], *second = &nothing,
                       *third = &nothing;
    bool is_denied;

    if (first->kind != TOKEN_BREAK)
        second = first - 1;
    if (second != &nothing && second->kind != TOKEN_BREAK)
        third = second - 1;
    if (is_any(first, " than ")) {
        is_denied = is_any(third, " no not never ");
        if (is_any(second, " fewer less shorter smaller "))
            return is_denied ? SENSE_NO_LIMIT : SENSE_LESS_THAN;
        return is_denied ? SENSE_AT_MOST : SENSE_NO_LIMIT;
    }
    if (is_any(first, " under below < "))
        return SENSE_LESS_THAN;
    if (is_any(first, " over above exceeding beyond ")) {
        is_denied = is_any(second, " no not never without ") ||
                    is_any(third, " no not never without ");
        return is_denied ? SENSE_AT_MOST : SENSE_NO_LIMIT;
    }
    if (is_any(first, " least minimum min the these those first last next "
                      "every top following > ") ||
        (is_any(first, " of ") && is_any(second, " minimum least ")) ||
        (is_any(first, " = ") && is_any(second, " > "))) {
        return SENSE_NO_LIMIT;
    }
    return SENSE_AT_MOST;
}

/* "3 sentences or more", "3+ sentences", "2 sentences at least". */
static bool
is_lower_limit_after(const struct tokens *tokens, size_t number, size_t unit)
{
    const struct token *next = &tokens->list[unit + 1];

    if (tokens->list[number + 1].kind == TOKEN_MARK &&
        is_word(&tokens->list[number + 1], "+")) {
        return true;
    }
    if (next->kind == TOKEN_BREAK)
        return false;
    return is_any(next, " minimum min ") ||
           (is_any(next, " or and at ") &&
            is_any(next + 1, " more longer above up least minimum "));
}

/* True if the words of a limit are those of each single sentence. */
static bool
is_per_sentence(const struct tokens *tokens, size_t number, size_t unit)
{
    const struct token *next = &tokens->list[unit + 1];

    if (is_any(next, " each apiece ") ||
        (next->kind != TOKEN_BREAK && is_any(next, " per in a ") &&
         is_any(next + 1, " sentence each every "))) {
        return true;
    }
    for (size_t back = 1; back < CLAUSE_MAX && back < number; back++) {
        const struct token *token = &tokens->list[number - back];

        if (token->kind == TOKEN_BREAK || is_any(token, " , "))
            break;
        if (is_any(token, " each every per ") &&
            is_any(token + 1, " sentence ")) {
            return true;
        }
    }
    return false;
}

static void
lower(size_t *limit, size_t value)
{
    if (value < 1)
        value = 1;
    if (*limit == LIMITS_NONE || value < *limit)
        *limit = value;
}

/* "word limit: 50", "max sentences = 3". The place of the number; 0 if there is
 * none, or if it counts something of its own. */
static size_t
find_number_after(const struct tokens *tokens, size_t unit,
                  struct limits *limits)
{
    bool is_limit =
        is_any(&tokens->list[unit - 1], " max maximum ") ||
        is_any(&tokens->list[unit + 1], " limit count maximum max : = ");

    for (size_t at = unit + 1; is_limit && at + 1 < tokens->count; at++) {
        const struct token *token = &tokens->list[at];

        if (token->kind == TOKEN_NUMBER)
            return unit_of(token + 1, limits) ? 0 : at;
        if (!is_any(token, " limit count maximum max of is : = at most "))
            break;
    }
    return 0;
}

static void
find_limit(const struct tokens *tokens, size_t unit, struct limits *limits)
{
    size_t *limit = unit_of(&tokens->list[unit], limits);
    size_t number = find_number(tokens, unit), value;
    enum sense sense;

    if (number == 0) {
        number = find_number_after(tokens, unit, limits);
        if (number)
            lower(limit, tokens->list[number].value);
        /* "in a sentence"; "in a word" is an idiom. */
        else if (limit == &limits->sentences_max && unit > 2 &&
                 is_any(&tokens->list[unit - 1], " a ") &&
                 is_any(&tokens->list[unit - 2], " in to into as "))
            lower(limit, 1);
        return;
    }
    value = tokens->list[number].value;
    sense = sense_before(tokens, skip_range(tokens, number));
    if (sense == SENSE_NO_LIMIT || is_lower_limit_after(tokens, number, unit))
        return;
    if (limit == &limits->words_max && is_per_sentence(tokens, number, unit))
        limit = &limits->sentence_words_max;
    lower(limit, sense == SENSE_LESS_THAN && value ? value - 1 : value);
}

void
limits_find(struct slice instruction, struct limits *limits)
{
    struct tokens tokens;

    if (instruction.bytes > LIMITS_BYTES_MAX) {
        instruction.data += instruction.bytes - LIMITS_BYTES_MAX;
        instruction.bytes = LIMITS_BYTES_MAX;
    }
    tokens = read_tokens(instruction);
    *limits = (struct limits){ 0 };
    for (size_t i = 1; i + 1 < tokens.count; i++) {
        if (tokens.list[i].kind == TOKEN_WORD &&
            unit_of(&tokens.list[i], limits)) {
            find_limit(&tokens, i, limits);
        }
    }
    free(tokens.list);
}
