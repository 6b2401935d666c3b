/*
 * sheafd.c - the program sheafd: options, configuration, exit codes
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* getopt_long */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "base/runtime.h"
#include "queue/crash.h"
#include "queue/keeper.h"
#include "queue/maintain.h"
#include "queue/shell.h"

#define MMAP_BYTES 131072
#define FILES_MAX  65536

#define EXIT_OK     0
#define EXIT_USAGE  2
#define EXIT_FULL   6
#define EXIT_IO     7
#define EXIT_IN_USE 10

/* What main puts together. */
struct setting {
    struct shell_options options;
    struct conf conf;
    struct buf store_dir;
    bool is_private; /* serves one command */
    struct maintain_terms maintain;
};

/* As a person reads it, or as sheaf(1) tells errors with --json. */
static void
tell(const struct err *err, bool is_json)
{
    struct buf line = { 0 };

    if (is_json) {
        buf_addf(&line, "{\"error\":{\"code\":\"%s\",\"message\":",
                 err_name(err->code));
        json_write_string(&line, err->msg, strlen(err->msg));
        buf_add_str(&line, "}}");
    } else {
        buf_addf(&line, "sheafd: %s", err->msg);
    }
    fprintf(stderr, "%s\n", line.data);
    buf_fini(&line);
}

static int
fail(const struct err *err, bool is_json)
{
    tell(err, is_json);
    switch (err->code) {
    case E_USAGE:
    case E_INVALID:
    case E_NOTFOUND:
    case E_TOOBIG:
        return EXIT_USAGE;
    case E_CORRUPT:
    case E_VERSION:
        return PROGRAM_EXIT_DAMAGED;
    case E_INUSE:
        return EXIT_IN_USE;
    case E_FULL:
        return EXIT_FULL;
    default:
        return EXIT_IO;
    }
}

/* ---- options ---- */

static const char usage_text[] =
    "Usage: sheafd [OPTION]...\n"
    "The broker of Sheaf: keeps batches of drafts and hands them to workers.\n"
    "\n"
    "  -C, --store DIR          where everything is kept (SHEAF_STORE, else\n"
    "                           $XDG_STATE_HOME/sheaf)\n"
    "      --listen ENDPOINT    for clients; may be given 4 times\n"
    "                           (ipc://RUNTIME/clients)\n"
    "      --listen-workers ENDPOINT\n"
    "                           for workers (ipc://RUNTIME/workers)\n"
    "      --workers N          workers to start and keep running (1)\n"
    "      --config FILE        configuration (SHEAF_CONFIG,\n"
    "                           /etc/sheaf/sheaf.conf)\n"
    "      --set NAME=VALUE     one option of the configuration\n"
    "      --private            serve one command: groups wait for no other\n"
    "                           client's drafts (group_window_ms is 0)\n"
    "      --parent-fd N        end when this descriptor comes to its end\n"
    "      --verify             look at the whole store, which no broker may\n"
    "                           be using, and end\n"
    "      --repair             with --verify: make indexes again\n"
    "      --compact            give the store's free pages back, and end\n"
    "      --json               say what was found, or went wrong, as JSON\n"
    "      --log-level debug|info|warn|error\n"
    "      --log-format text|json\n"
    "      --help, --version\n";

enum {
    OPT_LISTEN = 256,
    OPT_LISTEN_WORKERS,
    OPT_WORKERS,
    OPT_CONFIG,
    OPT_SET,
    OPT_PRIVATE,
    OPT_PARENT_FD,
    OPT_VERIFY,
    OPT_REPAIR,
    OPT_COMPACT,
    OPT_JSON,
    OPT_LOG_LEVEL,
    OPT_LOG_FORMAT,
    OPT_HELP,
    OPT_VERSION
};

static const struct option long_options[] = {
    { "store", required_argument, NULL, 'C' },
    { "listen", required_argument, NULL, OPT_LISTEN },
    { "listen-workers", required_argument, NULL, OPT_LISTEN_WORKERS },
    { "workers", required_argument, NULL, OPT_WORKERS },
    { "config", required_argument, NULL, OPT_CONFIG },
    { "set", required_argument, NULL, OPT_SET },
    { "private", no_argument, NULL, OPT_PRIVATE },
    { "parent-fd", required_argument, NULL, OPT_PARENT_FD },
    { "verify", no_argument, NULL, OPT_VERIFY },
    { "repair", no_argument, NULL, OPT_REPAIR },
    { "compact", no_argument, NULL, OPT_COMPACT },
    { "json", no_argument, NULL, OPT_JSON },
    { "log-level", required_argument, NULL, OPT_LOG_LEVEL },
    { "log-format", required_argument, NULL, OPT_LOG_FORMAT },
    { "help", no_argument, NULL, OPT_HELP },
    { "version", no_argument, NULL, OPT_VERSION },
    { NULL, 0, NULL, 0 },
};

static int
read_int(const char *name, const char *text, int max, int *value,
         struct err *err)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (errno || end == text || *end || number < 0 || number > max) {
        return err_set(err, E_USAGE, "--%s %s: must be from 0 to %d", name,
                       text, max);
    }
    *value = (int)number;
    return 0;
}

static int
add_listen(const char **endpoints, int *count, const char *endpoint,
           struct err *err)
{
    if (*count == SHELL_LISTEN_MAX)
        return err_set(err, E_USAGE, "at most %d endpoints", SHELL_LISTEN_MAX);
    endpoints[(*count)++] = endpoint;
    return 0;
}

static int
set_option(struct conf *conf, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    char *name;
    int rc;

    if (!equals)
        return err_set(err, E_USAGE, "--set %s: NAME=VALUE is expected", text);
    name = mem_dup(text, (size_t)(equals - text));
    rc = conf_set(conf, name, equals + 1, err);
    free(name);
    return rc;
}

static int
use_option(struct setting *setting, int option, struct err *err)
{
    struct shell_options *options = &setting->options;

    switch (option) {
    case 'C':
        options->store_dir = optarg;
        return 0;
    case OPT_LISTEN:
        return add_listen(options->listen, &options->listen_count, optarg, err);
    case OPT_LISTEN_WORKERS:
        return add_listen(options->listen_workers,
                          &options->listen_workers_count, optarg, err);
    case OPT_WORKERS:
        return read_int("workers", optarg, KEEPER_WORKERS_MAX,
                        &options->workers, err);
    case OPT_CONFIG:
        options->config = optarg;
        return 0;
    case OPT_SET: /* after the file, in a second pass */
        return 0;
    case OPT_PRIVATE:
        setting->is_private = true;
        return 0;
    case OPT_PARENT_FD:
        return read_int("parent-fd", optarg, 1 << 20, &options->parent_fd, err);
    case OPT_VERIFY:
        setting->maintain.verifies = true;
        return 0;
    case OPT_REPAIR:
        setting->maintain.repairs = true;
        return 0;
    case OPT_COMPACT:
        setting->maintain.compacts = true;
        return 0;
    case OPT_JSON:
        setting->maintain.is_json = true;
        return 0;
    case OPT_LOG_LEVEL:
        options->log_level = optarg;
        if (log_level_parse(optarg) < 0 ||
            log_level_parse(optarg) == LOG_FATAL) {
            return err_set(err, E_USAGE,
                           "--log-level %s: is none of debug, info, warn and "
                           "error",
                           optarg);
        }
        return 0;
    case OPT_LOG_FORMAT:
        options->log_format = optarg;
        if (strcmp(optarg, "text") != 0 && strcmp(optarg, "json") != 0)
            return err_set(err, E_USAGE,
                           "--log-format %s: is neither text nor json", optarg);
        return 0;
    case OPT_HELP:
        program_end_printed("sheafd", fputs(usage_text, stdout) >= 0);
    case OPT_VERSION:
        program_end_printed("sheafd", puts("sheafd " SHEAF_VERSION) >= 0);
    default:
        return err_set(err, E_USAGE, "see sheafd --help");
    }
}

static int
read_options(struct setting *setting, int argc, char **argv, struct err *err)
{
    int option, rc = 0;

    optind = 1;
    while (rc == 0 &&
           (option = getopt_long(argc, argv, "C:", long_options, NULL)) != -1) {
        rc = use_option(setting, option, err);
    }
    if (rc == 0 && optind < argc)
        rc = err_set(err, E_USAGE, "%s: no argument is expected", argv[optind]);
    return rc;
}

static int
read_settings(struct setting *setting, int argc, char **argv, struct err *err)
{
    int option, rc = 0;

    optind = 1;
    while (rc == 0 &&
           (option = getopt_long(argc, argv, "C:", long_options, NULL)) != -1) {
        if (option == OPT_SET)
            rc = set_option(&setting->conf, optarg, err);
    }
    return rc;
}

static int
read_conf(struct setting *setting, int argc, char **argv, struct err *err)
{
    const char *path = NULL;
    int rc = conf_find_file(setting->options.config, getenv, &path, err);

    if (rc == 0 && path)
        rc = conf_load(&setting->conf, path, err);
    /* Nobody else's drafts will come: a group need not wait for them. */
    if (setting->is_private)
        setting->conf.group_window_ms = 0;
    if (rc == 0)
        rc = read_settings(setting, argc, argv, err);
    if (rc == 0)
        rc = conf_use_environment(&setting->conf, getenv, err);
    if (rc >= 0)
        rc = conf_check(&setting->conf, err);
    return rc;
}

/* Reads the command line and the configuration. */
static int
read_all(struct setting *setting, int argc, char **argv, struct err *err)
{
    struct shell_options *options = &setting->options;
    int rc = read_options(setting, argc, argv, err);

    if (rc == 0)
        rc = read_conf(setting, argc, argv, err);
    if (rc < 0)
        return rc;
    log_setup(options->log_level
                  ? (enum log_level)log_level_parse(options->log_level)
                  : LOG_INFO,
              options->log_format && strcmp(options->log_format, "json") == 0);
    if (!options->store_dir) {
        if (runtime_default_store("--store", &setting->store_dir, err) < 0)
            return err->code;
        options->store_dir = setting->store_dir.data;
    }
    setting->maintain.store_dir = options->store_dir;
    if ((setting->maintain.repairs && !setting->maintain.verifies) ||
        (setting->maintain.compacts && setting->maintain.verifies)) {
        return err_set(err, E_USAGE,
                       "--repair goes with --verify, --compact alone");
    }
    if (options->parent_fd >= 0 &&
        fcntl(options->parent_fd, F_SETFD, FD_CLOEXEC) < 0) {
        return err_set(err, E_USAGE, "--parent-fd %d: %s", options->parent_fd,
                       strerror(errno));
    }
    return 0;
}

/* Each client is a descriptor, and libzmq ends the process where it finds none for
 * the next one: as many as the system allows. */
static void
raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FILES_MAX)
        return;
    limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int
main(int argc, char **argv)
{
    struct setting setting = { .options = { .workers = 1, .parent_fd = -1 } };
    struct shell *shell = NULL;
    struct err err = { 0 };
    int rc, exit_code = EXIT_OK;
    bool is_maintenance;

    program_open_standard("sheafd");
    (void)umask(0077);
    /* Large buffers go back to the system when they are freed, and libzmq's
     * threads share one heap: memory stays what is in use. */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    (void)mallopt(M_ARENA_MAX, 1);
    crash_catch();
    /* Upkeep, too, is told of a write above a limit, instead of ended by it. */
    (void)signal(SIGXFSZ, SIG_IGN);
    raise_files();
    conf_init(&setting.conf);
    rc = read_all(&setting, argc, argv, &err);
    is_maintenance = setting.maintain.verifies || setting.maintain.compacts;
    if (rc == 0 && is_maintenance)
        rc = maintain_run(&setting.maintain, &setting.conf, &err);
    else if (rc == 0)
        shell = shell_open(&setting.options, &setting.conf, &err);
    if (shell)
        rc = shell_run(shell, &err);
    if (shell && rc == 0)
        log_info("event=stopped");
    else if (!is_maintenance || rc < 0)
        exit_code = fail(&err, setting.maintain.is_json);
    shell_close(shell);
    conf_fini(&setting.conf);
    buf_fini(&setting.store_dir);
    return exit_code;
}
