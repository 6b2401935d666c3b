/*
 * option.h - one value of the configuration, from text and back
 *
 * An option is a row of a table: its name, its type, its limits, and the place
 * of its field in a struct. conf has such tables. A value is refused with a
 * reason that names the option. It is repeated in the reason only where it cannot
 * be a key that was written in the wrong place.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define OPTION_NO_PRICE (-1.0)

/* The types, and the type of their fields in C. */
enum option_type {
    OPTION_INT,        /* int64_t */
    OPTION_BOOL,       /* bool */
    OPTION_PRICE,      /* double; OPTION_NO_PRICE is unset */
    OPTION_WORD,       /* char *, printable and without blanks; NULL is unset */
    OPTION_WORDS,      /* char *, several such, with single blanks between */
    OPTION_LIST,       /* char *, words with commas and blanks between */
    OPTION_URL,        /* char *, see url.h, kept without a slash at its end */
    OPTION_URL_WHOLE,  /* char *, the same, kept as it is */
    OPTION_URL_PATH,   /* char *, from its slash */
    OPTION_FILE,       /* char *, an absolute path */
    OPTION_VARIABLE,   /* char *, the name of an environment variable */
    OPTION_CREDENTIAL, /* char *, the name of a file, without a directory */
};

struct option {
    const char *name;
    enum option_type type;
    size_t place;        /* offset of the field in its struct */
    const char *initial; /* the default; NULL is unset, for texts and prices */
    int64_t min, max;    /* of a number, or of the length of a text in bytes */
    const char *unit;    /* "" if there is none */
    const char *sentence;
};

/* Finds a row by its name. NULL if there is none. */
const struct option *option_find(const struct option *options, size_t count,
                                 const char *name);

/* Sets the field of an option in the struct at `base`. A text that it replaces
 * is freed. E_INVALID: "lease_ms: 500 is below 1000". */
int option_set(const struct option *option, void *base, const char *value,
               struct err *err);

/* Gives the field of an option in the struct at `base` its default. What the
 * field holds is not looked at. */
void option_init(const struct option *option, void *base);

/* Frees the field of an option if it is a text. */
void option_fini(const struct option *option, void *base);

/* Reads yes, no, true, false, on, off, 1 or 0, in any case. E_INVALID. */
int option_parse_bool(const char *value, bool *claim, struct err *err);

/* Takes the next item off a list; blanks around it do not belong to it. An item
 * may be empty; behind the last one, *rest is too. */
struct slice option_list_next(struct slice *rest);

/* Appends the sentence and the limits as a comment line. */
void option_explain(const struct option *option, struct buf *buf);

/* Appends "name = value" and the end of a line; nothing if it is unset. */
void option_dump(const struct option *option, const void *base,
                 struct buf *buf);

#endif
