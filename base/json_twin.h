/*
 * json_twin.h - a key that stands twice in an object
 *
 * Private to base/: json.c asks when it has read all members of an object.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_JSON_TWIN_H
#define BASE_JSON_TWIN_H

#include "base/json.h"

/* The first key of an object that was there before, or JSON_NONE. The object is
 * the last thing that was read; it has so many members, and escapes in some of
 * their names or in none. Names are compared after decoding. */
size_t json_find_twin(const struct json_doc *doc, size_t object, size_t members,
                      bool has_escapes);

#endif
