/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* O_TMPFILE */
#include "submit/input.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "submit/sheaf.h"

#define LINE_BITS   40 /* of a place; the file's index stands above them */
#define LINE_MAX_NO ((UINT64_C(1) << LINE_BITS) - 1)
#define BOM         "\xef\xbb\xbf"
#define BOM_BYTES   3

void
input_init(struct input *input, char *const *paths, size_t path_count,
           enum input_kind kind)
{
    assert(path_count <= INPUT_FILES_MAX);
    *input = (struct input){
        .paths = paths,
        .path_count = path_count,
        .kind = kind,
        .fd = -1,
        .stop_fd = -1,
        .spools = mem_zalloc(path_count, sizeof(int)),
        .buffer = mem_zalloc(INPUT_PIECE_BYTES, 1),
    };
    for (size_t i = 0; i < path_count; i++)
        input->spools[i] = -1;
}

static void
close_file(struct input *input)
{
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    input->fd = -1;
    lines_fini(&input->lines);
}

void
input_fini(struct input *input)
{
    close_file(input);
    for (size_t i = 0; i < input->path_count; i++) {
        if (input->spools[i] >= 0)
            close(input->spools[i]);
    }
    free(input->spools);
    free(input->buffer);
    buf_fini(&input->text);
    input->path_count = 0;
}

void
input_limit(struct input *input, size_t line_bytes_max)
{
    input->line_bytes_max = line_bytes_max;
}

void
input_stop_at(struct input *input, int stop_fd)
{
    input->stop_fd = stop_fd;
}

static uint64_t
place_of(size_t file, int64_t line)
{
    uint64_t number = (uint64_t)line;

    return (uint64_t)file << LINE_BITS |
           (number > LINE_MAX_NO ? LINE_MAX_NO : number);
}

const char *
input_place_path(const struct input *input, uint64_t place)
{
    return input->paths[place >> LINE_BITS];
}

int64_t
input_place_line(uint64_t place)
{
    return (int64_t)(place & LINE_MAX_NO);
}

void
input_place_text(const struct input *input, uint64_t place, struct buf *out)
{
    buf_add_str(out, input_place_path(input, place));
    if (input_place_line(place) > 0)
        buf_addf(out, ":%lld", (long long)input_place_line(place));
}

/* The file that is open, or that could not be opened, is the one before the
 * next. */
static void
refuse(struct input *input, int64_t line, const char *code, const char *reason,
       struct input_draft *draft)
{
    /* A reason that is too long is cut: it is for people. */
    if (snprintf(input->reason, sizeof(input->reason), "%s", reason) < 0)
        input->reason[0] = '\0';
    *draft = (struct input_draft){ .line = { NULL, 0 },
                                   .place = place_of(input->next - 1, line),
                                   .field = line > 0 ? "line" : "file",
                                   .code = code,
                                   .reason = input->reason };
}

static bool
ends_with(const char *path, const char *end)
{
    size_t bytes = strlen(path), end_bytes = strlen(end);

    return bytes >= end_bytes && strcmp(path + bytes - end_bytes, end) == 0;
}

/* Waits for what the open file has next. -1 and errno. */
static ssize_t
read_some(struct input *input, char *data, size_t bytes_max)
{
    struct pollfd polls[] = { { .fd = input->fd, .events = POLLIN },
                              { .fd = input->stop_fd, .events = POLLIN } };
    ssize_t count;

    do {
        /* One that is -1 is passed over. */
        if (poll(polls, sizeof(polls) / sizeof(polls[0]), -1) > 0 &&
            polls[1].revents) {
            input->is_stopped = true;
            errno = ECANCELED;
            return -1;
        }
        count = read(input->fd, data, bytes_max);
    } while (count < 0 && (errno == EINTR || errno == EAGAIN));
    return count;
}

/* Fills the buffer; errors are the caller's to report. */
static int
refill(struct input *input)
{
    ssize_t count = read_some(input, input->buffer, INPUT_PIECE_BYTES);

    if (count < 0)
        return E_IO;
    input->is_at_end = count == 0;
    input->piece = (struct slice){ input->buffer, (size_t)count };
    return 0;
}

/* Fills the buffer to its end, or that of the file. -1 and errno. */
static ssize_t
read_first(struct input *input)
{
    size_t bytes = 0;
    ssize_t count;

    do {
        count =
            read_some(input, input->buffer + bytes, INPUT_PIECE_BYTES - bytes);
        if (count < 0)
            return -1;
        bytes += (size_t)count;
    } while (count > 0 && bytes < INPUT_PIECE_BYTES);
    return (ssize_t)bytes;
}

/* Judges by the first byte that is no blank; a beginning of nothing but blanks
 * is text. */
static bool
begins_with_brace(struct slice text)
{
    size_t i = 0;

    if (text.bytes >= BOM_BYTES && memcmp(text.data, BOM, BOM_BYTES) == 0)
        i = BOM_BYTES;
    while (i < text.bytes && text.data[i] && strchr(" \t\r\n", text.data[i]))
        i++;
    return i < text.bytes && text.data[i] == '{';
}

/* Opens the next file. 1: it is JSON Lines, 0: a text, E_IO and errno. */
static int
open_next(struct input *input)
{
    size_t file = input->next++;
    const char *path = input->paths[file];
    ssize_t count;

    input->is_at_end = false;
    input->piece = (struct slice){ NULL, 0 };
    if (input->spools[file] >= 0) {
        input->fd = fcntl(input->spools[file], F_DUPFD_CLOEXEC, 3);
        if (input->fd >= 0 && lseek(input->fd, 0, SEEK_SET) < 0)
            return E_IO;
    } else if (strcmp(path, INPUT_STDIN) == 0) {
        input->fd = STDIN_FILENO;
    } else {
        /* Whoever writes to a pipe with a name is waited for when it is read. */
        input->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    }
    if (input->fd < 0)
        return E_IO;
    /* A long look at the beginning, which is then the first piece. */
    count = read_first(input);
    if (count < 0)
        return E_IO;
    input->piece = (struct slice){ input->buffer, (size_t)count };
    if (input->kind == INPUT_TEXT)
        return 0;
    /* An empty pipe holds no drafts, while an empty file is an empty text. */
    if (count == 0 && strcmp(path, INPUT_STDIN) == 0)
        return 1;
    return input->kind != INPUT_AUTO || ends_with(path, ".jsonl") ||
           ends_with(path, ".ndjson") || begins_with_brace(input->piece);
}

/* Reads the rest of a text behind its first piece. 1: it is too long. */
static int
read_text(struct input *input)
{
    buf_reset(&input->text);
    while (!input->is_at_end) {
        if (input->text.bytes + input->piece.bytes > input->line_bytes_max)
            return 1;
        buf_add_slice(&input->text, input->piece);
        if (refill(input) < 0)
            return E_IO;
    }
    return 0;
}

/* Turns the text into the line of a draft. False with a reason. */
static bool
make_draft(struct input *input, const char *path, struct input_draft *draft)
{
    struct slice text = buf_slice(&input->text);
    struct buf line = { 0 };

    if (text.bytes >= BOM_BYTES && memcmp(text.data, BOM, BOM_BYTES) == 0) {
        text.data += BOM_BYTES;
        text.bytes -= BOM_BYTES;
    }
    if (!utf8_is_valid(slice_of(path))) {
        refuse(input, 0, "invalid_utf8", "the file's name is not UTF-8", draft);
        return false;
    }
    if (!utf8_is_valid(text)) {
        refuse(input, 0, "invalid_utf8", "the content is not UTF-8", draft);
        return false;
    }
    if (text.bytes && memchr(text.data, '\0', text.bytes)) {
        refuse(input, 0, "nul_escape", "the content holds a NUL byte", draft);
        return false;
    }
    buf_add_str(&line, "{\"id\":");
    json_write_string(&line, path, strlen(path));
    buf_add_str(&line, ",\"text\":");
    json_write_string(&line, text.data, text.bytes);
    buf_add_str(&line, "}");
    buf_fini(&input->text);
    input->text = line;
    return true;
}

static void
refuse_long(struct input *input, int64_t line, struct input_draft *draft)
{
    char reason[INPUT_REASON_BYTES];
    int rc = snprintf(reason, sizeof(reason), "longer than %zu bytes%s",
                      input->line_bytes_max, line ? "" : " as a line of JSON");

    assert(rc > 0);
    refuse(input, line, "too_long", reason, draft);
}

/* One text is one draft. */
static void
take_text(struct input *input, struct input_draft *draft)
{
    int rc = read_text(input);

    if (rc < 0) {
        refuse(input, 0, "unreadable", strerror(errno), draft);
    } else if (rc == 1) {
        refuse_long(input, 0, draft);
    } else if (make_draft(input, input->paths[input->next - 1], draft)) {
        *draft = (struct input_draft){ .line = buf_slice(&input->text),
                                       .place = place_of(input->next - 1, 0) };
        if (draft->line.bytes > input->line_bytes_max)
            refuse_long(input, 0, draft);
    }
    close_file(input);
}

/* The next line of the file that is open: 0, or 1 and the file is closed. */
static int
take_line(struct input *input, struct input_draft *draft)
{
    struct lines_line line;
    bool is_there;

    for (;;) {
        is_there = lines_next(&input->lines, &input->piece, &line);
        if (is_there || input->is_at_end)
            break;
        if (refill(input) < 0) {
            refuse(input, input->lines.number + 1, "unreadable",
                   strerror(errno), draft);
            close_file(input);
            return 0;
        }
    }
    if (!is_there && !lines_end(&input->lines, &line)) {
        close_file(input);
        return 1;
    }
    if (line.is_long)
        refuse_long(input, line.number, draft);
    else
        *draft = (struct input_draft){
            .line = line.text, .place = place_of(input->next - 1, line.number)
        };
    return 0;
}

static int
take_next(struct input *input, struct input_draft *draft)
{
    for (;;) {
        int rc;

        if (input->fd >= 0) {
            rc = take_line(input, draft);
            if (rc == 0)
                return 0;
        }
        if (input->next == input->path_count)
            return 1;
        rc = open_next(input);
        if (rc < 0) {
            refuse(input, 0, "unreadable", strerror(errno), draft);
            close_file(input);
            return 0;
        }
        if (rc == 0) {
            take_text(input, draft);
            return 0;
        }
        lines_init(&input->lines, input->line_bytes_max);
    }
}

int
input_next(struct input *input, struct input_draft *draft)
{
    int rc;

    assert(input->line_bytes_max > 0);
    rc = take_next(input, draft);
    return input->is_stopped ? SHEAF_E_STOPPED : rc;
}

/* Reads until `bytes_max` bytes are there or the file ends. -1 and errno. */
static ssize_t
read_full(int fd, char *data, size_t bytes_max)
{
    size_t bytes = 0;

    while (bytes < bytes_max) {
        ssize_t count = read(fd, data + bytes, bytes_max - bytes);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0)
            break;
        bytes += (size_t)count;
    }
    return (ssize_t)bytes;
}

static int
copy(int source, int target, char *buffer)
{
    for (;;) {
        ssize_t count = read_full(source, buffer, INPUT_PIECE_BYTES);
        ssize_t done = 0;

        if (count <= 0)
            return count < 0 ? E_IO : 0;
        while (done < count) {
            ssize_t written =
                write(target, buffer + done, (size_t)(count - done));

            if (written < 0 && errno != EINTR)
                return E_IO;
            if (written > 0)
                done += written;
        }
    }
}

static const char *
spool_folder(void)
{
    const char *folder = getenv("TMPDIR");

    return folder && *folder ? folder : "/tmp";
}

/* An unnamed file that vanishes with the process. */
static int
open_spool(void)
{
    const char *folder = spool_folder();
    char path[4096];
    int fd, rc;

    fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    /* Not every file system has unnamed files. */
    rc = snprintf(path, sizeof(path), "%s/sheaf-XXXXXX", folder);
    if (rc < 0 || (size_t)rc >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static int
spool(struct input *input, size_t file, struct err *err)
{
    const char *path = input->paths[file];
    bool is_stdin = strcmp(path, INPUT_STDIN) == 0;
    struct stat st;
    int rc = 0, source = STDIN_FILENO;

    /* What cannot be looked at is refused later, as it is without a copy. */
    if (!is_stdin &&
        (stat(path, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
        return 0;
    }
    if (!is_stdin)
        source = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (source < 0)
        return 0;
    input->spools[file] = open_spool();
    if (input->spools[file] < 0)
        rc = err_set(err, E_IO, "make a temporary file in %s (TMPDIR): %s",
                     spool_folder(), strerror(errno));
    if (rc == 0 && copy(source, input->spools[file], input->buffer) < 0)
        rc = err_set(err, E_IO, "copy %s to a file in %s (TMPDIR): %s",
                     is_stdin ? "standard input" : path, spool_folder(),
                     strerror(errno));
    if (!is_stdin)
        close(source);
    return rc;
}

int
input_spool(struct input *input, struct err *err)
{
    for (size_t i = 0; i < input->path_count; i++) {
        int rc = spool(input, i, err);

        if (rc < 0)
            return rc;
    }
    return 0;
}

void
input_rewind(struct input *input)
{
    close_file(input);
    input->next = 0;
    input->is_at_end = false;
    input->piece = (struct slice){ NULL, 0 };
}
