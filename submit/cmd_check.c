/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/json.h"
#include "submit/command.h"

/* Sets NAME=VALUE of --set. */
static int
set(struct conf *conf, const char *item, struct err *err)
{
    struct buf name = { 0 };
    size_t bytes = strcspn(item, "=");
    int rc;

    if (item[bytes] != '=')
        return err_set(err, E_USAGE, "--set: '%s' is not NAME=VALUE", item);
    buf_add(&name, item, bytes);
    rc = conf_set(conf, name.data, item + bytes + 1, err);
    buf_fini(&name);
    return rc;
}

static int
load(struct conf *conf, const struct options *options, const char **path,
     struct err *err)
{
    int rc = conf_find_file(options->config, getenv, path, err);

    if (rc == 0 && *path)
        rc = conf_load(conf, *path, err);
    for (size_t i = 0; rc == 0 && i < options->set.count; i++)
        rc = set(conf, options->set.items[i], err);
    if (rc == 0)
        rc = conf_use_environment(conf, getenv, err);
    return rc < 0 ? rc : conf_check(conf, err);
}

/* The dump as it stands would have to be taken apart again: as JSON, one
 * string for the file that the configuration amounts to. */
static void
add_json(const struct conf *conf, const char *path, struct buf *out)
{
    struct buf dump = { 0 };

    buf_add_str(out, "{\"file\":");
    if (path)
        json_write_string(out, path, strlen(path));
    else
        buf_add_str(out, "null");
    buf_add_str(out, ",\"upstreams\":[");
    for (size_t i = 0; i < conf->upstream_count; i++) {
        const char *name = conf->upstreams[i].name;

        if (i > 0)
            buf_add_char(out, ',');
        json_write_string(out, name, strlen(name));
    }
    conf_dump(conf, &dump);
    buf_add_str(out, "],\"configuration\":");
    json_write_string(out, dump.data, dump.bytes);
    buf_add_str(out, "}\n");
    buf_fini(&dump);
}

int
cmd_check_config(struct command *command, struct err *err)
{
    const char *path = NULL;
    struct buf text = { 0 };
    struct conf conf;
    int rc = command_check_arguments(command, 0, 0, err);

    if (rc < 0)
        return rc;
    conf_init(&conf);
    rc = load(&conf, command->options, &path, err);
    if (rc == 0 && command->options->json)
        add_json(&conf, path, &text);
    else if (rc == 0)
        conf_dump(&conf, &text);
    if (rc == 0)
        rc = command_print(&text, err);
    conf_fini(&conf);
    buf_fini(&text);
    return rc;
}
