/* SPDX-License-Identifier: MIT */
#include "base/conf.h"
#include "base/route.h"

/* What is said of upstreams can be checked only when all are known. */
static int
check_routes(const struct conf *conf, struct err *err)
{
    struct route route;

    if (conf->route &&
        route_parse(conf, slice_of(conf->route), &route, err) < 0) {
        err_wrap(err, "route");
        if (err)
            err->code = E_INVALID;
        return E_INVALID;
    }
    if (conf->last_resort && route_resort(slice_of(conf->last_resort)) < 0) {
        return err_set(err, E_INVALID,
                       "last_resort: %s is none of wait, essence, local",
                       conf->last_resort);
    }
    return 0;
}

int
conf_check(const struct conf *conf, struct err *err)
{
    const struct {
        const char *name;
        int64_t value;
        const char *what; /* it must be, before `limit` is named */
        const char *limit_name;
        int64_t limit;
    } rules[] = {
#define AT_MOST(a, b) { #a, conf->a, "above", #b, conf->b }
#define LESS_THAN(a, b)                           \
    {                                             \
#a, conf->a, "not below", #b, conf->b - 1 \
    }
#define TWICE(a, b)                                   \
    {                                                 \
#a, conf->a, "above half of", #b, conf->b / 2 \
    }
        TWICE(heartbeat_ms, lease_ms),
        AT_MOST(lease_ms, lease_run_max_ms),
        AT_MOST(backoff_base_ms, backoff_cap_ms),
        AT_MOST(breaker_pause_ms, breaker_pause_max_ms),
        AT_MOST(line_bytes_max, chunk_bytes_max),
        AT_MOST(chunk_bytes_max, commit_bytes_max),
        AT_MOST(chunk_drafts_max, commit_items_max),
        AT_MOST(store_soft_percent, store_hard_percent),
        LESS_THAN(t1_ms, t2_ms),
        LESS_THAN(t2_ms, t3_ms),
        LESS_THAN(t3_ms, t4_ms),
#undef AT_MOST
#undef LESS_THAN
#undef TWICE
    };

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].value > rules[i].limit) {
            return err_set(err, E_INVALID, "%s: %lld is %s %s", rules[i].name,
                           (long long)rules[i].value, rules[i].what,
                           rules[i].limit_name);
        }
    }
    for (size_t i = 0; i < conf->upstream_count; i++) {
        const struct conf_upstream *upstream = &conf->upstreams[i];

        if (upstream->request_timeout_ms + CONF_LEASE_MARGIN_MS >
            conf->lease_run_max_ms) {
            return err_set(
                err, E_INVALID,
                "upstream %s: request_timeout_ms: %lld and %d more "
                "are above lease_run_max_ms (%lld); raise that",
                upstream->name, (long long)upstream->request_timeout_ms,
                CONF_LEASE_MARGIN_MS, (long long)conf->lease_run_max_ms);
        }
    }
    if (conf->alert_command && conf->alert_command[0] != '/') {
        return err_set(err, E_INVALID,
                       "alert_command: %s does not begin with the whole path "
                       "of a program",
                       conf->alert_command);
    }
    return check_routes(conf, err);
}
