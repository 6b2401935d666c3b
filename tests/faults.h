/*
 * faults.h - a file system that fails, or a process that dies, when planned
 *
 * What the store asks of the file system goes through faults.c, in every test
 * that includes this, so that one of the calls, counted from the first, can
 * fail, or the process die before it, in the middle of it, or after it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <stdbool.h>

#define FAULTS_CALLS_MAX 500 /* that one operation may need */

enum manner {
    FAULT_NONE,
    FAULT_FAIL,
    FAULT_DIE_BEFORE,
    FAULT_DIE_WITHIN,
    FAULT_DIE_AFTER
};

/* From now on: what happens in the call `at`, from 1, with `error` if it
 * fails. */
void faults_plan(enum manner manner, int error, int at);

/* How many calls there were since. */
int faults_calls(void);

/* Runs work in a child; true if it came to its end, false if it was killed. */
bool faults_survive(void (*work)(void *arg), void *arg);

#endif
