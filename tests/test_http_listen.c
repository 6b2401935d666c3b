/* SPDX-License-Identifier: MIT */
#include "submit/http_listen.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

Test(http_listen, reads_addresses_and_knows_which_are_local)
{
    static const struct {
        const char *text;
        const char *want; /* NULL: refused */
        bool is_local;
    } rows[] = {
        { "127.0.0.1:8017", "127.0.0.1:8017", true },
        { "127.8.9.10:0", "127.8.9.10:0", true },
        { "localhost:80", "127.0.0.1:80", true },
        { "[::1]:8017", "[::1]:8017", true },
        { "0.0.0.0:8017", "0.0.0.0:8017", false },
        { "192.0.2.7:8017", "192.0.2.7:8017", false },
        { "128.0.0.1:1", "128.0.0.1:1", false },
        { "[::]:65535", "[::]:65535", false },
        { "8017", NULL, false },
        { ":8017", NULL, false },
        { "127.0.0.1", NULL, false },
        { "127.0.0.1:", NULL, false },
        { "127.0.0.1:65536", NULL, false },
        { "127.0.0.1:-1", NULL, false },
        { "127.0.0.1:80x", NULL, false },
        { "::1:80", NULL, false },
        { "[127.0.0.1]:80", NULL, false },
        { "example.org:80", NULL, false },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_place place;
        struct err err = { 0 };
        int rc = http_place_parse(rows[i].text, &place, &err);
        struct buf text = { 0 };

        cr_expect_eq(rc, rows[i].want ? 0 : E_USAGE, "%s: %s", rows[i].text,
                     err.msg);
        if (rc < 0 || !rows[i].want)
            continue;
        http_place_text(&place, &text);
        cr_expect_str_eq(text.data, rows[i].want);
        cr_expect_eq(http_place_is_local(&place), rows[i].is_local, "%s",
                     rows[i].text);
        buf_fini(&text);
    }
}

Test(http_listen, chooses_a_port_and_says_when_one_is_taken)
{
    struct http_place place, same;
    struct err err = { 0 };
    int fd;

    cr_assert_eq(http_place_parse("127.0.0.1:0", &place, &err), 0);
    fd = http_place_listen(&place, &err);
    cr_assert_geq(fd, 0, "%s", err.msg);
    same = place;
    cr_expect_eq(http_place_listen(&same, &err), E_INUSE);
    cr_expect(strstr(err.msg, "listen on 127.0.0.1:") != NULL, "%s", err.msg);
    cr_expect_eq(strstr(err.msg, "127.0.0.1:0:"), NULL);
    close(fd);
}

/* Who has a network of IPv6 has more addresses than can be counted. */
Test(http_listen, takes_a_network_of_ipv6_for_one_client)
{
    struct sockaddr_in6 one = { .sin6_family = AF_INET6 }, other = one;
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };
    struct http_address a, b;

    inet_pton(AF_INET6, "2001:db8:1:2::3", &one.sin6_addr);
    inet_pton(AF_INET6, "2001:db8:1:2:4:5:6:7", &other.sin6_addr);
    a = http_place_of((struct sockaddr *)&one);
    b = http_place_of((struct sockaddr *)&other);
    cr_expect_eq(memcmp(&a, &b, sizeof(a)), 0);
    inet_pton(AF_INET6, "2001:db8:1:3::3", &other.sin6_addr);
    b = http_place_of((struct sockaddr *)&other);
    cr_expect_neq(memcmp(&a, &b, sizeof(a)), 0);

    inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr);
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &mapped.sin6_addr);
    a = http_place_of((struct sockaddr *)&v4);
    b = http_place_of((struct sockaddr *)&mapped);
    cr_expect_eq(memcmp(&a, &b, sizeof(a)), 0);
    inet_pton(AF_INET, "192.0.2.8", &v4.sin_addr);
    a = http_place_of((struct sockaddr *)&v4);
    cr_expect_neq(memcmp(&a, &b, sizeof(a)), 0);
}
