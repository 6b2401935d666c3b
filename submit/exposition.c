/* SPDX-License-Identifier: MIT */
#include "submit/exposition.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#define EXACT_MAX 1e15 /* integers below it are printed as such */

void
exposition_head(struct buf *out, const char *name, const char *type,
                const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
exposition_number(double value, char text[EXPOSITION_NUMBER_BYTES])
{
    bool is_whole = floor(value) == value && fabs(value) < EXACT_MAX;

    (void)snprintf(text, EXPOSITION_NUMBER_BYTES, is_whole ? "%.0f" : "%.15g",
                   value);
}

void
exposition_sample(struct buf *out, const char *name, const char *labels,
                  double value)
{
    char text[EXPOSITION_NUMBER_BYTES];

    exposition_number(value, text);
    buf_addf(out, *labels ? "%s{%s} %s\n" : "%s%s %s\n", name, labels, text);
}

void
exposition_label(struct buf *labels, const char *name, const char *value)
{
    buf_addf(labels, "%s%s=\"", labels->bytes > 0 ? "," : "", name);
    for (; *value; value++) {
        if (*value == '\n')
            buf_add_str(labels, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_addf(labels, "\\%c", *value);
        else
            buf_add_char(labels, *value);
    }
    buf_add_char(labels, '"');
}

static void
add_bucket(struct buf *out, const char *name, const char *labels,
           const char *bound, double count)
{
    char text[EXPOSITION_NUMBER_BYTES];

    exposition_number(count, text);
    buf_addf(out, "%s_bucket{%s%sle=\"%s\"} %s\n", name, labels,
             *labels ? "," : "", bound, text);
}

void
exposition_histogram(struct buf *out, const char *name, const char *labels,
                     const cJSON *bounds, const cJSON *list, double divisor)
{
    const cJSON *bound = bounds ? bounds->child : NULL, *item;
    struct buf full = { 0 };
    char text[EXPOSITION_NUMBER_BYTES];
    double count = 0;

    if (cJSON_GetArraySize(list) != cJSON_GetArraySize(bounds) + 2)
        return;
    for (item = list->child; item->next; item = item->next) {
        count += item->valuedouble;
        if (bound) {
            (void)snprintf(text, sizeof(text), "%.15g",
                           bound->valuedouble / divisor);
            bound = bound->next;
        } else {
            (void)snprintf(text, sizeof(text), "+Inf");
        }
        add_bucket(out, name, labels, text, count);
    }
    buf_addf(&full, "%s_sum", name);
    exposition_sample(out, full.data, labels, item->valuedouble / divisor);
    buf_reset(&full);
    buf_addf(&full, "%s_count", name);
    exposition_sample(out, full.data, labels, count);
    buf_fini(&full);
}
