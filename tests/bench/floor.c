/*
 * floor.c - the floor: what libcurl takes for the calls alone
 *
 *   floor URL COUNT CONCURRENCY
 *
 * Posts COUNT different chat requests of 1 KiB, so many at a time, each time
 * over the same connections. Replies are read and dropped. Nothing is stored,
 * read from a file, judged or repeated; a reply other than 200 ends it.
 */
/* SPDX-License-Identifier: MIT */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/bench/payload.h"

#define TEXT_BYTES      960
#define CONCURRENCY_MAX 256
#define WAIT_MS         1000

struct slot {
    CURL *easy;
    struct buf body;
};

struct floor {
    CURLM *multi;
    struct payload *payload;
    struct curl_slist *headers;
    long begun, done, count;
};

static size_t
drop(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    (void)arg;
    return size * count;
}

static void
begin(struct floor *floor, struct slot *slot)
{
    buf_reset(&slot->body);
    buf_add_str(&slot->body,
                "{\"model\":\"bench\",\"messages\":[{\"role\":\"user\","
                "\"content\":\"");
    payload_text(floor->payload, floor->begun, TEXT_BYTES, &slot->body);
    buf_add_str(&slot->body, "\"}]}");
    floor->begun++;
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, slot->body.data);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE, (long)slot->body.bytes);
    curl_multi_add_handle(floor->multi, slot->easy);
}

static void
slot_init(struct slot *slot, const char *url, struct curl_slist *headers)
{
    slot->easy = curl_easy_init();
    if (!slot->easy)
        log_fatal("event=no_curl");
    curl_easy_setopt(slot->easy, CURLOPT_URL, url);
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
}

static void
take_ended(struct floor *floor)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(floor->multi, &left))) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        struct slot *slot;
        long status = 0;

        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (code != CURLE_OK || status != 200)
            log_fatal("event=call_failed status=%ld error=\"%s\"", status,
                      curl_easy_strerror(code));
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
        curl_multi_remove_handle(floor->multi, easy);
        floor->done++;
        if (floor->begun < floor->count)
            begin(floor, slot);
    }
}

static void
run(struct floor *floor, struct slot *slots, long concurrency, const char *url)
{
    int running;

    for (long i = 0; i < concurrency && floor->begun < floor->count; i++) {
        slot_init(&slots[i], url, floor->headers);
        begin(floor, &slots[i]);
    }
    while (floor->done < floor->count) {
        if (curl_multi_perform(floor->multi, &running) != CURLM_OK)
            log_fatal("event=no_curl");
        take_ended(floor);
        if (floor->done < floor->count)
            (void)curl_multi_poll(floor->multi, NULL, 0, WAIT_MS, NULL);
    }
}

int
main(int argc, char **argv)
{
    struct floor floor = { .count = 0 };
    struct slot *slots;
    long concurrency = argc == 4 ? strtol(argv[3], NULL, 10) : 0;

    floor.count = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
    if (floor.count < 1 || concurrency < 1 || concurrency > CONCURRENCY_MAX) {
        (void)fprintf(stderr, "usage: floor URL COUNT CONCURRENCY\n");
        return 2;
    }
    slots = mem_zalloc((size_t)concurrency, sizeof(*slots));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    floor.payload = payload_new(NULL);
    floor.multi = curl_multi_init();
    floor.headers = curl_slist_append(NULL, "Content-Type: application/json");
    run(&floor, slots, concurrency, argv[1]);
    for (long i = 0; i < concurrency; i++) {
        curl_easy_cleanup(slots[i].easy);
        buf_fini(&slots[i].body);
    }
    curl_multi_cleanup(floor.multi);
    curl_slist_free_all(floor.headers);
    payload_free(floor.payload);
    free(slots);
    return 0;
}
