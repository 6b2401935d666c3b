/*
 * http_models.h - the models that the broker's configuration names
 *
 * What a client may ask for besides is the upstreams' matter.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_MODELS_H
#define SUBMIT_HTTP_MODELS_H

#include "submit/http_route.h"

/* The handlers of the list, and of one by its name. */
http_handler_fn http_models_list, http_models_get;

#endif
