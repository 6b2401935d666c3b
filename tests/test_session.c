/* SPDX-License-Identifier: MIT */
#include "queue/session.h"

#include <criterion/criterion.h>
#include <string.h>

#define NEVER INT64_MAX

static struct session *
add(struct sessions *sessions, unsigned char name, uint32_t capacity)
{
    unsigned char uuid[SESSION_UUID_BYTES] = { name };
    struct session *session = sessions_add(sessions, uuid);

    cr_assert_not_null(session);
    session->is_online = true;
    session->capacity = capacity;
    session->has_peer = true;
    session->peer = (struct link_peer){ .id = { name }, .bytes = 5 };
    return session;
}

Test(session, is_found_by_its_name_its_link_and_its_leases)
{
    struct sessions *sessions = sessions_new(3);
    struct session *a = add(sessions, 1, 5), *b = add(sessions, 2, 5);
    struct link_peer nobody = { .id = { 9 }, .bytes = 5 };
    unsigned char uuid[SESSION_UUID_BYTES] = { 9 };

    session_hold(b, 7, 2, 100, NEVER, 0);
    cr_expect_eq(sessions_find(sessions, a->uuid), a);
    cr_expect_null(sessions_find(sessions, uuid));
    cr_expect_eq(sessions_find_peer(sessions, &b->peer), b);
    cr_expect_null(sessions_find_peer(sessions, &nobody));
    cr_expect_eq(sessions_find_holder(sessions, 7, 2), b);
    cr_expect_null(sessions_find_holder(sessions, 7, 1));
    cr_expect_lt(a->id, b->id);
    sessions_remove(sessions, a);
    cr_expect_eq(sessions->count, 1);
    cr_expect_eq(sessions->list[0], b);
    add(sessions, 3, 1);
    add(sessions, 4, 1);
    cr_expect_null(sessions_add(sessions, uuid), "there are too many");
    sessions_free(sessions);
    sessions_free(NULL);
}

Test(session, slots_are_dealt_evenly_up_to_the_capacity)
{
    static const struct {
        uint32_t slots, capacities[4], shares[4];
    } cases[] = {
        { 5, { 5, 5, 5, 5 }, { 2, 1, 1, 1 } },
        { 5, { 1, 5, 5, 1 }, { 1, 2, 1, 1 } },
        { 5, { 1, 1, 1, 1 }, { 1, 1, 1, 1 } },
        { 2, { 9, 9, 9, 9 }, { 1, 1, 0, 0 } },
        { 20, { 1, 2, 100, 3 }, { 1, 2, 14, 3 } },
        { 1024, { 1024, 1024, 1024, 1024 }, { 256, 256, 256, 256 } },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sessions *sessions = sessions_new(8);
        struct session *offline = add(sessions, 99, 1024);
        struct session *list[4];

        offline->is_online = false;
        for (unsigned char j = 0; j < 4; j++)
            list[j] = add(sessions, j + 1, cases[i].capacities[j]);
        for (size_t j = 0; j < 4; j++) {
            cr_expect_eq(sessions_share(sessions, list[j], cases[i].slots),
                         cases[i].shares[j], "case %zu, %zu", i, j);
            list[j]->lent = cases[i].shares[j];
        }
        cr_expect_eq(sessions_share(sessions, offline, cases[i].slots), 0);
        cr_expect_leq(sessions_lent(sessions), cases[i].slots);
        sessions_free(sessions);
    }
}

Test(session, holds_leases_until_they_are_dropped)
{
    struct sessions *sessions = sessions_new(1);
    struct session *session = add(sessions, 1, 5);

    for (uint32_t i = 1; i <= 100; i++) {
        struct held *held = session_hold(session, i, i, 1000 + i, NEVER, 50);

        cr_expect_eq(held->deadline_ms, 1050 + i);
        cr_expect_not(held->is_started);
    }
    cr_expect_eq(session->held_count, 100);
    cr_expect_eq(session->until_ms, 1150);
    session_drop(session, 4711, 1);
    session_drop(session, 50, 49);
    for (uint32_t i = 1; i <= 100; i += 2)
        session_drop(session, i, i);
    cr_expect_eq(session->held_count, 50);
    cr_expect_null(session_find(session, 51, 51));
    cr_assert_not_null(session_find(session, 52, 52));
    cr_expect_eq(session_find(session, 52, 52)->length_ms, 1052);
    cr_expect_null(session_find(session, 52, 51));
    sessions_free(sessions);
}

Test(session, ends_when_its_calls_have_and_it_is_silent)
{
    struct sessions *sessions = sessions_new(2);
    struct session *session = add(sessions, 1, 5);

    session->heard_ms = 1000;
    session->until_ms = 5000;
    cr_expect_eq(session_over_ms(session, 2000), 5000);
    cr_expect_eq(session_over_ms(session, 60000), 61001);
    cr_expect_eq(sessions_next_ms(sessions, 60000), 61001);
    session_hold(session, 1, 1, 3000, NEVER, 1000);
    cr_expect_eq(session_over_ms(session, 2000), INT64_MAX);
    cr_expect_eq(sessions_next_ms(sessions, 2000), 4000);
    add(sessions, 2, 5)->heard_ms = 1000;
    cr_expect_eq(sessions_next_ms(sessions, 2000), 3001);
    sessions_free(sessions);
    sessions = sessions_new(1);
    cr_expect_eq(sessions_next_ms(sessions, 2000), INT64_MAX);
    sessions_free(sessions);
}
