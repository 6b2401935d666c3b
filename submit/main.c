/* SPDX-License-Identifier: MIT */
/* The command line `sheaf`: reads the options, runs a command, and turns its
 * outcome into an exit code. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/program.h"
#include "submit/command.h"

#ifndef SHEAF_VERSION
#define SHEAF_VERSION "0.1.0"
#endif

static command_fn *const functions[COMMAND_COUNT] = {
    [COMMAND_RUN] = cmd_run,
    [COMMAND_SUBMIT] = cmd_submit,
    [COMMAND_STATUS] = cmd_status,
    [COMMAND_LIST] = cmd_list,
    [COMMAND_WAIT] = cmd_wait,
    [COMMAND_RESULTS] = cmd_results,
    [COMMAND_WHY] = cmd_why,
    [COMMAND_CANCEL] = cmd_cancel,
    [COMMAND_PAUSE] = cmd_pause,
    [COMMAND_RESUME] = cmd_resume,
    [COMMAND_PURGE] = cmd_purge,
    [COMMAND_RETRY] = cmd_retry,
    [COMMAND_EXPORT] = cmd_export,
    [COMMAND_VERIFY] = cmd_verify,
    [COMMAND_BACKUP] = cmd_backup,
    [COMMAND_COMPACT] = cmd_compact,
    [COMMAND_STATS] = cmd_stats,
    [COMMAND_ALERTS] = cmd_alerts,
    [COMMAND_UPSTREAMS] = cmd_upstreams,
    [COMMAND_WEBHOOKS] = cmd_webhooks,
    [COMMAND_CHECK] = cmd_check_config,
};

static int
tell(const struct options *options, struct err *err)
{
    struct buf text = { 0 };
    int rc;

    if (options->help)
        options_help(options->command, &text);
    else
        buf_add_str(&text, "sheaf " SHEAF_VERSION "\n");
    rc = command_print(&text, err);
    buf_fini(&text);
    return rc;
}

int
main(int argc, char **argv)
{
    struct options options;
    struct command command;
    struct err err = { 0 };
    int rc;

    program_open_standard("sheaf");
    /* A write above a limit (ulimit -f) fails, and is told, instead. */
    (void)signal(SIGXFSZ, SIG_IGN);
    log_setup(LOG_WARN, false);
    rc = options_parse(&options, argc, argv, &err);
    command_init(&command, &options);
    if (rc == 0) {
        rc = options.help || options.version
                 ? tell(&options, &err)
                 : functions[options.command](&command, &err);
    }
    if (rc < 0)
        command_report(&command, &err);
    command_fini(&command);
    if (rc < 0)
        rc = command_exit_code(&command, rc);
    options_fini(&options);
    return rc;
}
