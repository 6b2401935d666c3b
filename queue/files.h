/*
 * files.h - clients' files: what their verbs share
 *
 * upload.c takes files in, files.c shows them and lets them go. Another client's
 * file is answered as one that does not exist.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_FILES_H
#define QUEUE_FILES_H

#include "queue/core.h"
#include "store/file.h"

/* Reads the client of a message. */
int files_read_client(struct call *call, const char **client);

/* Reads how long a file is to be kept; as the configuration says if nothing is
 * said. */
int files_read_expiry(struct call *call, const char *name, int64_t *ttl_ms);

/* The file that a message names, if it is this client's, or that of the client
 * which the message names. E_NOTFOUND, also for deleted ones; then *file is
 * zeroed, or not to be used. */
int files_find(struct call *call, const char *client, struct file *file);
int files_of(struct call *call, struct file *file);

/* Adds a file's members to an object; answers with a file. */
void files_add(const struct broker *broker, cJSON *object,
               const struct file *file);
void files_answer(struct call *call, const struct file *file);

/* A file has come to its end; goes on removing a deleted one. */
void files_end(struct broker *broker, const struct timer *timer,
               int64_t now_ms);
void files_remove(struct broker *broker, const struct timer *timer,
                  int64_t now_ms);

/* Deletes the oldest stored file that no batch is read from, unless one is being
 * removed. False: there is none. */
bool files_make_room(struct broker *broker, int64_t now_ms);

#endif
