/*
 * loop.h - the worker's one loop
 *
 * A turn takes in messages, collects calls that have ended, starts the next
 * ones, judges the answers that came, and says what is to be said; then it waits
 * for whichever comes first.
 * It ends when the worker has drained, is told to go at once, or has not heard
 * a broker for too long.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H

#include "worker/worker.h"

#define LOOP_WAIT_MS_MAX   1000 /* libzmq's descriptor may miss an edge */
#define LOOP_REPORT_MS_MAX 2000 /* for results after a drain's end */
#define LOOP_NO_FD         (-1)

#define LOOP_EXIT_VERSION     2
#define LOOP_EXIT_UNREACHABLE 5
#define LOOP_EXIT_SIGNAL      128 /* and the signal's number */

/* Works until the end and returns the exit code. signal_fd is a signalfd;
 * parent_fd's end of file means that whoever started us is gone, LOOP_NO_FD
 * that nobody is watched. */
int loop_run(struct worker *worker, int signal_fd, int parent_fd);

#endif
