/* SPDX-License-Identifier: MIT */
#include "submit/http_gateway.h"

const struct http_routes http_api_routes = { NULL, 0 };
