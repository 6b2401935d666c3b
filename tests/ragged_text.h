/*
 * ragged_text.h - texts that are UTF-8 in places only
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_RAGGED_TEXT_H
#define TESTS_RAGGED_TEXT_H

#include <stddef.h>

#include "base/buf.h"

/* Fills less than `max` bytes by rand(), with lead and trail bytes likely, and
 * returns them. */
struct slice ragged_text(char *bytes, size_t max);

#endif
