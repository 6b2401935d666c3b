/*
 * opening.h - the message that opens a batch, from what makes it
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_OPENING_H
#define SUBMIT_OPENING_H

#include <cjson/cJSON.h>

#include "base/err.h"
#include "submit/sheaf.h"

/* The header of `open`, without `re`, for the caller to send or delete. NULL and
 * E_INVALID: the metadata are no object. */
cJSON *opening_header(const struct sheaf_submission *submission,
                      struct err *err);

#endif
