/*
 * sim.c - plays many histories of a simulated world (world.h)
 *
 *   sim [SEEDS]           plays seeds 1 to SEEDS (10000), in JOBS processes
 *   sim --seed S          plays one, and tells all that happens
 *
 * The environment: JOBS (the number of processors), EVENTS (stop faults after
 * so many, to find the one that matters), FIRST (the first seed, 1). One history
 * in a hundred is played over LMDB. The last lines tell what the histories were
 * made of; a move of the state tables that none of them took is a failure, if
 * there were enough of them to expect it.
 *
 * A history that goes wrong prints its seed and the reason; the same seed goes
 * wrong in the same way, everywhere.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/sim/world.h"

#define SEEDS_DEFAULT 10000
#define JOBS_MAX      64
#define LMDB_EVERY    100
#define ENOUGH        3000 /* histories, for every move to be taken */

/* What the processes share. */
struct job {
    uint64_t seed; /* that is being played */
    struct tally tally;
};

static long
number(const char *text, long absent)
{
    char *end;
    long value;

    if (!text || !*text)
        return absent;
    value = strtol(text, &end, 10);
    if (*end || value < 1) {
        fprintf(stderr, "sim: '%s' is no number above 0\n", text);
        exit(2);
    }
    return value;
}

static void
remove_store(const char *dir)
{
    static const char *const leaves[] = { "data.mdb", "lock.mdb" };
    char path[WORLD_PATH_BYTES + 16];

    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, leaves[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static void
play(uint64_t seed, struct text_rules *rules, struct tally *tally,
     bool is_verbose)
{
    char dir[WORLD_PATH_BYTES] = "";
    struct world *world;

    if (seed % LMDB_EVERY == 0) {
        const char *below = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

        (void)snprintf(dir, sizeof(dir), "%s/sheaf-sim.XXXXXX", below);
        if (!mkdtemp(dir)) {
            fprintf(stderr, "sim: %s: %s\n", dir, strerror(errno));
            exit(7);
        }
    }
    world = world_new(seed, *dir ? dir : NULL, rules, is_verbose);
    world_play(world, (int)number(getenv("EVENTS"), 1) - 1);
    tally_add(tally, &world->tally);
    world_free(world);
    if (*dir)
        remove_store(dir);
}

static struct text_rules *
load_rules(void)
{
    struct err err = { 0 };
    struct text_rules *rules = text_rules_new(&err);

    if (!rules) {
        fprintf(stderr, "sim: %s\n", err.msg);
        exit(7);
    }
    return rules;
}

static void
work(struct job *job, uint64_t first, uint64_t last, uint64_t step)
{
    struct text_rules *rules = load_rules();

    for (uint64_t seed = first; seed <= last; seed += step) {
        job->seed = seed;
        play(seed, rules, &job->tally, false);
    }
    text_rules_free(rules);
}

/* Waits for all; ends the others when one has failed. */
static int
gather(struct job *jobs, const pid_t *pids, long count)
{
    int failed = 0, status;
    pid_t pid;

    while ((pid = wait(&status)) > 0) {
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        for (long i = 0; i < count; i++) {
            if (pids[i] == pid && WIFSIGNALED(status) && !failed) {
                fprintf(stderr, "seed %llu ended by signal %d\n",
                        (unsigned long long)jobs[i].seed, WTERMSIG(status));
            } else if (pids[i] != pid) {
                (void)kill(pids[i], SIGTERM);
            }
        }
        failed = 1;
    }
    return failed;
}

static int
play_all(uint64_t seeds)
{
    long count = number(getenv("JOBS"), sysconf(_SC_NPROCESSORS_ONLN));
    uint64_t first = (uint64_t)number(getenv("FIRST"), 1);
    struct tally sum = { 0 };
    struct timespec begin, end;
    pid_t pids[JOBS_MAX];
    struct job *jobs;
    int missing;

    if (count > JOBS_MAX)
        count = JOBS_MAX;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    jobs = mmap(NULL, (size_t)count * sizeof(*jobs), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (jobs == MAP_FAILED)
        return 7;
    fflush(stdout);
    for (long i = 0; i < count; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            return 7;
        if (pids[i] == 0) {
            work(&jobs[i], first + (uint64_t)i, first + seeds - 1,
                 (uint64_t)count);
            fflush(stdout);
            _exit(0);
        }
    }
    if (gather(jobs, pids, count))
        return 1;
    for (long i = 0; i < count; i++)
        tally_add(&sum, &jobs[i].tally);
    clock_gettime(CLOCK_MONOTONIC, &end);
    missing = tally_print(&sum);
    printf("%llu histories in %.1f s, %ld at a time\n",
           (unsigned long long)seeds,
           (double)(end.tv_sec - begin.tv_sec) +
               (double)(end.tv_nsec - begin.tv_nsec) / 1e9,
           count);
    return missing && seeds >= ENOUGH ? 1 : 0;
}

int
main(int argc, char **argv)
{
    struct text_rules *rules;
    struct tally tally = { 0 };

    log_setup(LOG_FATAL, false);
    if (argc == 3 && strcmp(argv[1], "--seed") == 0) {
        setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
        rules = load_rules();
        play((uint64_t)number(argv[2], 1), rules, &tally, true);
        text_rules_free(rules);
        printf("it ends well\n");
        return 0;
    }
    if (argc > 2) {
        fprintf(stderr, "usage: sim [SEEDS] | sim --seed S\n");
        return 2;
    }
    return play_all(
        (uint64_t)number(argc == 2 ? argv[1] : NULL, SEEDS_DEFAULT));
}
