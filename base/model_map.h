/*
 * model_map.h - what an upstream calls a model that is known by another name
 *
 * A list such as "gpt-4o=llama3, gpt-4o-mini=llama3-8b": to the left the name
 * that drafts have, to the right the upstream's own. Names are compared byte for
 * byte; blanks around them do not belong to them.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_MODEL_MAP_H
#define BASE_MODEL_MAP_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* E_INVALID: a part of the list is no pair of names. */
int model_map_check(struct slice list, struct err *err);

/* The upstream's name for a model, borrowed from the list; the model itself if it
 * has none. */
struct slice model_map_find(struct slice list, struct slice model);

/* Takes the first pair off a list and gives the drafts' name of it, borrowed.
 * False: there is none left. */
bool model_map_next(struct slice *list, struct slice *model);

#endif
