/* SPDX-License-Identifier: MIT */
#include "submit/http_models.h"

#include <string.h>

#include "base/json.h"
#include "submit/http_gateway.h"

static void
write_model(const char *id, const char *upstream, struct buf *out)
{
    buf_add_str(out, "{\"id\":");
    json_write_string(out, id, strlen(id));
    buf_add_str(out, ",\"object\":\"model\",\"created\":0,\"owned_by\":");
    json_write_string(out, upstream, strlen(upstream));
    buf_add_char(out, '}');
}

/* Reads an entry of the broker's list. */
static bool
read_model(const cJSON *item, const char **id, const char **upstream)
{
    *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "id"));
    *upstream = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(item, "upstream"));
    return *id && *upstream;
}

/* True if an earlier entry has the same name: several upstreams have it. */
static bool
is_known(const cJSON *models, const cJSON *item, const char *id)
{
    const cJSON *other;
    const char *other_id, *upstream;

    cJSON_ArrayForEach(other, models)
    {
        if (other == item)
            return false;
        if (read_model(other, &other_id, &upstream) &&
            strcmp(other_id, id) == 0) {
            return true;
        }
    }
    return false;
}

static bool
reply_away(struct http_request *request)
{
    struct http_error error;

    if (http_broker_is_up(request->gateway->broker))
        return false;
    http_error_set(&error, 503, "unreachable", "the broker is away");
    http_reply_error(request, &error);
    return true;
}

void
http_models_list(struct http_request *request)
{
    const cJSON *models = http_broker_welcome(request->gateway->broker)->models,
                *item;
    const char *id, *upstream, *separator = "";
    struct buf out = { 0 };

    if (reply_away(request))
        return;
    buf_add_str(&out, "{\"object\":\"list\",\"data\":[");
    cJSON_ArrayForEach(item, models)
    {
        if (!read_model(item, &id, &upstream) || is_known(models, item, id))
            continue;
        buf_add_str(&out, separator);
        write_model(id, upstream, &out);
        separator = ",";
    }
    buf_add_str(&out, "]}\n");
    http_reply(request, 200, HTTP_JSON, buf_slice(&out));
    buf_fini(&out);
}

void
http_models_get(struct http_request *request)
{
    const cJSON *models = http_broker_welcome(request->gateway->broker)->models,
                *item;
    const char *id, *upstream, *wanted = http_param(request, 0);
    struct http_error error;
    struct buf out = { 0 };

    if (reply_away(request))
        return;
    cJSON_ArrayForEach(item, models)
    {
        if (out.bytes == 0 && read_model(item, &id, &upstream) &&
            strcmp(id, wanted) == 0) {
            write_model(id, upstream, &out);
        }
    }
    if (out.bytes) {
        http_reply(request, 200, HTTP_JSON, buf_slice(&out));
    } else {
        http_error_set(&error, 404, "model_not_found",
                       "The model '%s' does not exist", wanted);
        http_error_param(&error, slice_of("model"));
        http_reply_error(request, &error);
    }
    buf_fini(&out);
}
