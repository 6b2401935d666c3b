/*
 * sheaf_error.h - an error crosses the border of the library
 *
 * Inside, errors are base/err.h's; sheaf.h, which stands alone, has a struct of
 * its own with the same codes.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_SHEAF_ERROR_H
#define SUBMIT_SHEAF_ERROR_H

#include "base/err.h"
#include "submit/sheaf.h"

/* Copies err to error, which may be NULL. Returns the code. */
int sheaf_error_give(struct sheaf_error *error, const struct err *err);

#endif
