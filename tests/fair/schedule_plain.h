/*
 * schedule_plain.h - simpler schedules than ours, to be compared with it
 *
 * schedule_plain.c has the functions of queue/schedule.h for a list of batches
 * that are served in an order, whatever it costs. What the order is, the file
 * that is linked with it says: schedule_fifo.c or schedule_robin.c.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FAIR_SCHEDULE_PLAIN_H
#define TESTS_FAIR_SCHEDULE_PLAIN_H

#include <stdint.h>

/* The place of a batch that was served a request. `last` is behind all. */
uint64_t plain_place(uint64_t place, uint64_t last);

#endif
