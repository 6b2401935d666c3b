/* SPDX-License-Identifier: MIT */
#include "base/option.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/url.h"

#define SHOWN_BYTES_MAX 64 /* of a value, in a reason */

/* With so few digits behind the point, and at most six in front of it, a
 * double holds a price exactly enough to print it as it was given. */
#define PRICE_DIGITS 9
#define PRICE_SCALE  1000000000

const struct option *
option_find(const struct option *options, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    }
    return NULL;
}

/* Digits only: the signs, blanks and bases that strtoll() takes would be
 * surprises in a file. */
static int
set_int(const struct option *option, const char *value, int64_t *number,
        struct err *err)
{
    int64_t sum = 0;

    for (const char *at = value; *at; at++) {
        if (!isdigit((unsigned char)*at)) {
            return err_set(err, E_INVALID, "%.*s is not a whole number",
                           SHOWN_BYTES_MAX, value);
        }
        if (sum <= option->max)
            sum = sum * 10 + (*at - '0');
    }
    if (sum > option->max) {
        return err_set(err, E_INVALID, "%.*s is above %lld", SHOWN_BYTES_MAX,
                       value, (long long)option->max);
    }
    if (sum < option->min) {
        return err_set(err, E_INVALID, "%.*s is below %lld", SHOWN_BYTES_MAX,
                       value, (long long)option->min);
    }
    *number = sum;
    return 0;
}

/* By hand, for the point of strtod() depends on the locale. */
static int
set_price(const struct option *option, const char *value, double *price,
          struct err *err)
{
    const char *at = value;
    int64_t sum = 0, scale = 1;

    for (; isdigit((unsigned char)*at) && sum <= option->max; at++)
        sum = sum * 10 + (*at - '0');
    if (sum > option->max)
        goto above;
    if (at > value && at[0] == '.' && isdigit((unsigned char)at[1])) {
        for (at++; isdigit((unsigned char)*at) && scale < PRICE_SCALE; at++) {
            sum = sum * 10 + (*at - '0');
            scale *= 10;
        }
    }
    if (at == value || *at) {
        return err_set(err, E_INVALID,
                       "%.*s is not a price such as 0.15, with at most %d "
                       "digits behind the point",
                       SHOWN_BYTES_MAX, value, PRICE_DIGITS);
    }
    if (sum > option->max * scale)
        goto above;
    *price = (double)sum / (double)scale;
    return 0;
above:
    return err_set(err, E_INVALID, "%.*s is above %lld", SHOWN_BYTES_MAX, value,
                   (long long)option->max);
}

static int
check_word(const char *value, struct err *err)
{
    for (const char *at = value; *at; at++) {
        if (*at <= ' ' || *at >= 0x7f) {
            return err_set(err, E_INVALID,
                           "holds a blank, a control character or a byte "
                           "beyond ASCII");
        }
    }
    return 0;
}

static int
check_words(const char *value, struct err *err)
{
    for (const char *at = value; *at; at++) {
        if ((*at < ' ' || *at >= 0x7f) || (at[0] == ' ' && at[1] == ' ')) {
            return err_set(err, E_INVALID,
                           "holds two blanks, a control character or a byte "
                           "beyond ASCII");
        }
    }
    return 0;
}

static int
check_list(const char *value, struct err *err)
{
    for (const char *at = value; *at; at++) {
        if (*at < ' ' || *at >= 0x7f) {
            return err_set(err, E_INVALID,
                           "holds a control character or a byte beyond ASCII");
        }
    }
    return 0;
}

static int
check_variable(const char *value, struct err *err)
{
    bool is_name = !isdigit((unsigned char)*value);

    for (const char *at = value; *at; at++)
        is_name = is_name && (isalnum((unsigned char)*at) || *at == '_');
    if (is_name)
        return 0;
    return err_set(err, E_INVALID,
                   "is not the name of an environment variable");
}

/* The reasons below do not repeat the value: it may be a key. */
static int
check_text(const struct option *option, const char *value, struct err *err)
{
    if (strlen(value) > (size_t)option->max) {
        return err_set(err, E_INVALID, "is longer than %lld bytes",
                       (long long)option->max);
    }
    if (strchr(value, '"'))
        return err_set(err, E_INVALID, "is to be written without quotes");
    if (*value == ';') /* a comment, once it was dumped and read again */
        return err_set(err, E_INVALID, "begins with a ;");
    switch (option->type) {
    case OPTION_WORDS:
        return check_words(value, err);
    case OPTION_URL:
    case OPTION_URL_WHOLE:
        return url_check(value, err);
    case OPTION_URL_PATH:
        if (*value != '/')
            return err_set(err, E_INVALID, "does not begin with a /");
        if (strchr(value, '#'))
            return err_set(err, E_INVALID, "holds a fragment");
        return check_word(value, err);
    case OPTION_FILE:
        if (*value != '/')
            return err_set(err, E_INVALID, "is not an absolute path");
        return 0;
    case OPTION_VARIABLE:
        return check_variable(value, err);
    case OPTION_CREDENTIAL:
        if (strchr(value, '/') || *value == '.')
            return err_set(err, E_INVALID, "is not the name of a credential");
        return check_word(value, err);
    case OPTION_LIST:
        return check_list(value, err);
    default:
        return check_word(value, err);
    }
}

static int
set_text(const struct option *option, const char *value, char **text,
         struct err *err)
{
    size_t bytes = strlen(value);
    int rc = check_text(option, value, err);

    if (rc < 0)
        return rc;
    while (option->type == OPTION_URL && value[bytes - 1] == '/')
        bytes--;
    free(*text);
    *text = mem_dup(value, bytes);
    return 0;
}

int
option_set(const struct option *option, void *base, const char *value,
           struct err *err)
{
    void *field = (char *)base + option->place;
    int rc;

    if (!*value)
        rc = err_set(err, E_INVALID, "has no value");
    else if (option->type == OPTION_INT)
        rc = set_int(option, value, field, err);
    else if (option->type == OPTION_BOOL)
        rc = option_parse_bool(value, field, err);
    else if (option->type == OPTION_PRICE)
        rc = set_price(option, value, field, err);
    else
        rc = set_text(option, value, field, err);
    return rc < 0 ? err_wrap(err, "%s", option->name) : 0;
}

void
option_init(const struct option *option, void *base)
{
    void *field = (char *)base + option->place;
    int rc;

    if (option->type == OPTION_PRICE)
        *(double *)field = OPTION_NO_PRICE;
    else if (option->type >= OPTION_WORD)
        *(char **)field = NULL;
    if (!option->initial)
        return;
    rc = option_set(option, base, option->initial, NULL);
    assert(rc == 0);
    (void)rc;
}

void
option_fini(const struct option *option, void *base)
{
    char **text = (void *)((char *)base + option->place);

    if (option->type < OPTION_WORD)
        return;
    free(*text);
    *text = NULL;
}

int
option_parse_bool(const char *value, bool *claim, struct err *err)
{
    static const struct {
        const char *word;
        bool claim;
    } words[] = { { "yes", true },    { "no", false }, { "true", true },
                  { "false", false }, { "on", true },  { "off", false },
                  { "1", true },      { "0", false } };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(value, words[i].word) == 0) {
            *claim = words[i].claim;
            return 0;
        }
    }
    return err_set(err, E_INVALID, "%.*s is neither yes nor no",
                   SHOWN_BYTES_MAX, value);
}

struct slice
option_list_next(struct slice *rest)
{
    const char *end = rest->bytes ? memchr(rest->data, ',', rest->bytes) : NULL;
    struct slice item = { rest->data,
                          end ? (size_t)(end - rest->data) : rest->bytes };
    size_t taken = item.bytes + (end ? 1 : 0);

    if (taken > 0)
        rest->data += taken;
    rest->bytes -= taken;
    while (item.bytes && *item.data == ' ') {
        item.data++;
        item.bytes--;
    }
    while (item.bytes && item.data[item.bytes - 1] == ' ')
        item.bytes--;
    return item;
}

void
option_explain(const struct option *option, struct buf *buf)
{
    buf_addf(buf, "# %s (%lld to %lld%s%s)\n", option->sentence,
             (long long)option->min, (long long)option->max,
             *option->unit ? " " : "", option->unit);
}

void
option_dump(const struct option *option, const void *base, struct buf *buf)
{
    const void *field = (const char *)base + option->place;
    const char *text;
    double price;

    switch (option->type) {
    case OPTION_INT:
        buf_addf(buf, "%s = %lld\n", option->name,
                 (long long)*(const int64_t *)field);
        break;
    case OPTION_BOOL:
        buf_addf(buf, "%s = %s\n", option->name,
                 *(const bool *)field ? "yes" : "no");
        break;
    case OPTION_PRICE:
        price = *(const double *)field;
        if (price >= 0)
            buf_addf(buf, "%s = %.*f\n", option->name, PRICE_DIGITS, price);
        break;
    default:
        text = *(char *const *)field;
        if (text)
            buf_addf(buf, "%s = %s\n", option->name, text);
    }
}
