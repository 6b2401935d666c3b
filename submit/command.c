/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* vasprintf */
#include "submit/command.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/runtime.h"
#include "submit/input.h"
#include "submit/output.h"

#define CLIENTS_LEAF "clients"
#define MS           1000
#define VERB_BYTES   16

void
command_init(struct command *command, const struct options *options)
{
    *command = (struct command){ .options = options, .signal_fd = -1 };
    progress_init(&command->progress, (enum progress_when)options->progress);
}

void
command_fini(struct command *command)
{
    command_disconnect(command);
    progress_clear(&command->progress);
    if (command->signal_fd >= 0)
        close(command->signal_fd);
    command->signal_fd = -1;
}

int
command_catch_signals(struct command *command, struct err *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    command->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (command->signal_fd < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_set(err, E_IO, "catch signals: %s", strerror(errno));
    return 0;
}

/* True if a signal has come since the last look. */
static bool
take_signal(struct command *command)
{
    struct signalfd_siginfo info;

    if (command->signal_fd < 0 ||
        read(command->signal_fd, &info, sizeof(info)) != sizeof(info)) {
        return false;
    }
    command->stop_signal = (int)info.ssi_signo;
    return true;
}

/* While calls wait: looks for signals, and after a private broker. */
static int
idle(void *arg)
{
    struct command *command = arg;

    if (take_signal(command) || command->stop_signal)
        return 1;
    if (!command->has_broker)
        return 0;
    return private_check(&command->broker, clock_mono_ms(),
                         &command->broker_err) < 0;
}

/* While a private broker starts or ends: a new signal cuts that short. */
static int
idle_signal(void *arg)
{
    return take_signal(arg);
}

static int
connect_to(struct command *command, const char *endpoint, struct err *err)
{
    int64_t timeout_ms = command->options->broker_timeout_s * MS;
    struct sheaf_settings settings = { .endpoint = endpoint,
                                       .idle = idle,
                                       .idle_arg = command };
    struct sheaf_error error;

    if (timeout_ms > INT32_MAX)
        timeout_ms = INT32_MAX;
    settings.connect_ms = (int)timeout_ms;
    settings.patience_ms = (int)timeout_ms;
    command->sheaf = sheaf_connect(&settings, &error);
    return command->sheaf ? 0 : command_fail(command, &error, err);
}

/* True if the command is about what a worker is to do: it hands that in, waits for
 * it, or asks how far it is, as a script does until it is done. Others only look at
 * the store, or note something there: no call is made for them, and no key asked
 * for. */
static bool
needs_worker(const struct options *options)
{
    switch (options->command) {
    case COMMAND_RUN:
    case COMMAND_SUBMIT:
    case COMMAND_STATUS:
    case COMMAND_WAIT:
    case COMMAND_RESULTS:
    case COMMAND_EXPORT:
    case COMMAND_RETRY:
    case COMMAND_RESUME:
    case COMMAND_WEBHOOKS:
        return true;
    default:
        return false;
    }
}

int
command_connect_store(struct command *command, const char *store,
                      struct err *err)
{
    /* In the order of the option's choices. */
    static const char *const levels[] = { "error", "debug", "info", "warn" };
    const struct options *options = command->options;
    struct private_settings settings = { .store = store,
                                         .config = options->config,
                                         .sets = options->set.items,
                                         .set_count = options->set.count,
                                         .log_level =
                                             levels[options->log_level],
                                         .is_json = options->json,
                                         .has_worker = needs_worker(options),
                                         .idle = idle_signal,
                                         .idle_arg = command };
    int rc;

    command->has_broker = true;
    rc = private_open(&command->broker, &settings, err);
    if (rc < 0)
        return rc;
    if (command->broker.pid <= 0 && options->set.count > 0) {
        command_note(command,
                     "the broker of %s runs already: --set changes nothing of "
                     "it",
                     store);
    }
    return connect_to(command, command->broker.endpoint.data, err);
}

int
command_connect(struct command *command, struct err *err)
{
    const char *given = command->options->broker;
    const char *from_env = getenv("SHEAF_BROKER");
    struct buf endpoint = { 0 };
    int rc = 0;

    if (command->options->directory)
        return command_connect_store(command, command->options->directory, err);
    if (command->options->set.count > 0) {
        return err_set(err, E_USAGE,
                       "--set is for a broker that is started; give it to "
                       "sheafd, or name a store with -C DIR");
    }
    if (given)
        buf_add_str(&endpoint, given);
    else if (from_env && *from_env)
        buf_add_str(&endpoint, from_env);
    else
        rc = runtime_endpoint(CLIENTS_LEAF, &endpoint, err);
    if (rc == 0)
        rc = connect_to(command, endpoint.data, err);
    buf_fini(&endpoint);
    return rc;
}

void
command_disconnect(struct command *command)
{
    sheaf_close(command->sheaf);
    command->sheaf = NULL;
    if (command->has_broker)
        private_close(&command->broker);
    command->has_broker = false;
    command->broker_err.code = 0;
}

static int
stopped(struct err *err)
{
    return err_set(err, SHEAF_E_STOPPED, "interrupted");
}

int
command_fail(struct command *command, const struct sheaf_error *error,
             struct err *err)
{
    if (error->code == E_UNREACHABLE && !command->has_broker) {
        return err_set(err, E_UNREACHABLE,
                       "%s; start sheafd, or name a store with -C DIR",
                       error->message);
    }
    if (error->code != SHEAF_E_STOPPED)
        return err_set(err, error->code, "%s", error->message);
    if (command->broker_err.code) {
        *err = command->broker_err;
        return err->code;
    }
    return stopped(err);
}

int
command_stopped(struct command *command, struct err *err)
{
    (void)take_signal(command);
    return stopped(err);
}

int
command_ask(struct command *command, cJSON *head, struct slice body,
            struct wire *reply, struct err *err)
{
    struct buf text = { 0 };
    struct sheaf_reply answer;
    struct sheaf_error error = { 0 };
    struct wire query = { .head = head };
    char verb[VERB_BYTES];
    int rc;

    *reply = (struct wire){ .head = NULL };
    /* A longer one would be cut: it is for a message. */
    if (snprintf(verb, sizeof(verb), "%s", wire_verb(&query)) < 0)
        verb[0] = '\0';
    wire_print(head, &text);
    rc = sheaf_call(command->sheaf, text.data, body.data, body.bytes, &answer,
                    &error);
    buf_fini(&text);
    if (rc < 0) {
        rc = command_fail(command, &error, err);
        return rc == E_UNREACHABLE || rc == SHEAF_E_STOPPED
                   ? rc
                   : err_wrap(err, "%s", verb);
    }
    return wire_parse(reply,
                      (struct slice){ answer.header, answer.header_bytes },
                      (struct slice){ answer.body, answer.body_bytes }, err);
}

int
command_tell_local(struct command *command, struct err *err)
{
    cJSON *head;
    struct wire welcome;
    const char *upstream;
    int rc;

    if (command->is_told || command->options->json ||
        command->options->upstream || !command->has_broker) {
        return 0;
    }
    head = wire_new("hello");
    wire_add_int(head, "protocol", WIRE_PROTOCOL);
    rc = command_ask(command, head, (struct slice){ NULL, 0 }, &welcome, err);
    if (rc == 0)
        rc = wire_str(&welcome, "default_upstream", WIRE_HEADER_BYTES_MAX, "",
                      &upstream, err);
    if (rc == 0 && strcmp(upstream, CONF_LOCAL) == 0) {
        command->is_told = true;
        command_note(command, "no upstream is configured: answers come from "
                              "`local`, the built-in extractive sampler");
    }
    wire_fini(&welcome);
    return rc;
}

void
command_add_json(const struct wire *reply, struct buf *out)
{
    cJSON *copy = cJSON_Duplicate(reply->head, true);

    cJSON_DeleteItemFromObjectCaseSensitive(copy, "verb");
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "re");
    wire_print(copy, out);
    buf_add_char(out, '\n');
}

int
command_check_batch(const char *batch, struct err *err)
{
    uuid_t id;

    if (uuid_parse(batch, id) == 0)
        return 0;
    return err_set(err, E_USAGE, "'%s' is not the id of a batch", batch);
}

int
command_check_arguments(const struct command *command, size_t min, size_t max,
                        struct err *err)
{
    size_t count = command->options->arguments.count;
    const struct command_spec *spec =
        options_command(command->options->command);
    struct buf why = { 0 };

    if (count >= min && count <= max)
        return 0;
    if (count < min)
        buf_add_str(&why, count > 0 ? "too few arguments" : "no argument");
    else if (max == 0)
        buf_add_str(&why, "no argument is expected");
    else
        buf_addf(&why, "%zu arguments, at most %zu", count, max);
    (void)err_set(err, E_USAGE, "%s: %s; usage: sheaf %s [OPTION...]%s%s",
                  spec->name, why.data, spec->name, *spec->arguments ? " " : "",
                  spec->arguments);
    buf_fini(&why);
    return E_USAGE;
}

int
command_check_files(const struct command *command, struct err *err)
{
    const struct options_list *files = &command->options->arguments;
    size_t inputs = 0;

    for (size_t i = 0; i < files->count; i++)
        inputs += strcmp(files->items[i], INPUT_STDIN) == 0;
    if (inputs > 1)
        return err_set(err, E_USAGE, "standard input can be read only once");
    return command_check_arguments(command, 1, INPUT_FILES_MAX, err);
}

void
command_print_error(struct command *command, const struct buf *line)
{
    progress_clear(&command->progress);
    /* One write: lines of several programs must not mix. A standard error
     * that cannot be written to has nowhere to complain. */
    if (write(STDERR_FILENO, line->data, line->bytes) < 0)
        errno = 0;
}

static void
print_escaped(struct command *command, const char *text)
{
    struct buf line = { 0 };

    buf_add_str(&line, "sheaf: ");
    output_escape(slice_of(text), &line);
    buf_add_char(&line, '\n');
    command_print_error(command, &line);
    buf_fini(&line);
}

void
command_note(struct command *command, const char *fmt, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    if (text)
        print_escaped(command, text);
    free(text);
}

void
command_report(struct command *command, const struct err *err)
{
    struct buf line = { 0 };
    const char *name = err_name(err->code);

    if (!command->options->json) {
        print_escaped(command, err->msg);
        return;
    }
    if (err->code == SHEAF_E_STOPPED)
        name = "interrupted";
    buf_addf(&line, "{\"error\":{\"code\":\"%s\",\"message\":", name);
    json_write_string(&line, err->msg, strlen(err->msg));
    buf_add_str(&line, "}}\n");
    command_print_error(command, &line);
    buf_fini(&line);
}

int
command_report_empty(struct command *command, int64_t drafts)
{
    const char *why = drafts == 0 ? ": the input holds none" : "";
    struct buf line = { 0 };

    if (command->options->json) {
        buf_addf(&line,
                 "{\"error\":{\"code\":\"no_drafts\",\"message\":"
                 "\"no draft was accepted%s\"}}\n",
                 why);
        command_print_error(command, &line);
    } else {
        command_note(command, "no draft was accepted%s; there is no batch",
                     why);
    }
    buf_fini(&line);
    return EXIT_FLAWED;
}

int
command_print(const struct buf *text, struct err *err)
{
    struct output output;
    int rc = output_open(&output, NULL, err);

    if (rc == 0)
        rc = output_write(&output, buf_slice(text), err);
    if (rc == 0)
        rc = output_flush(&output, err);
    output_fini(&output);
    return rc;
}

int
command_exit_code(const struct command *command, int code)
{
    static const struct {
        int code, exit_code;
    } rows[] = {
        { E_USAGE, 2 },    { E_INVALID, 2 }, { E_TOOBIG, 2 },
        { E_NOTFOUND, 3 }, { E_TIMEOUT, 4 }, { E_UNREACHABLE, 5 },
        { E_PROTOCOL, 5 }, { E_VERSION, 5 }, { E_FULL, 6 },
        { E_DRAINING, 6 }, { E_IO, 7 },      { E_CONFLICT, 8 },
        { E_GAP, 8 },      { E_STALE, 8 },   { E_CORRUPT, 9 },
        { E_INUSE, 10 },
    };

    if (code == SHEAF_E_STOPPED)
        return 128 + command->stop_signal;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].code == code)
            return rows[i].exit_code;
    }
    return 7;
}
