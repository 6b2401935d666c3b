/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "worker/call.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/url.h"
#include "worker/curl_end.h"
#include "worker/head.h"
#include "worker/sockets.h"

#define CONNECTION_AGE_S 45L /* idle ones are not reused; servers close at 60 */
/* libcurl allocates a buffer of this size for each call, and frees it behind it:
 * large ones tear holes into the heap that small blocks creep into. */
#define RECEIVE_BYTES 16384
/* So many calls are made on connections of their own after one that was kept died
 * under its request: a server that closes them without a word does it again, and
 * each such request may have been paid for. */
#define DISTRUST_CALLS 100
#define LOOK_US        50000 /* between looks at how fast replies come */
#define US_A_MS        1000

struct call {
    CURL *easy;                /* made with the first use, then kept */
    struct buf base_url, path; /* of its last call, as it was ordered */
    CURLU *url_parts;          /* the same, taken apart; its own */
    bool is_running;
    struct head head;
    struct curl_slist *headers; /* borrowed from the head, while it runs */
    bool has_asked;             /* its request was about to be sent */
    long asked_bytes;           /* sent before that: to a proxy, for a tunnel */
    bool is_sent_again;         /* it would have been, and was not */
    struct reply *reply;        /* once it has begun, until it is taken */
    int64_t reply_bytes_max;
    size_t header_bytes;
    bool has_begun; /* the reply, interim ones not counted */
    bool has_head;  /* the reply's head came to its end */
    bool is_too_large;
    bool is_too_slow;
    int64_t low_speed_ms, low_speed_bytes;
    int64_t mark_us; /* when its speed was last looked at; 0: never */
    size_t mark_bytes;
    char error[CURL_ERROR_SIZE];
};

struct calls {
    size_t max;
    size_t running;
    bool has_ended;         /* one did, and was not taken yet */
    bool has_slow;          /* so is one that is to be ended */
    int distrust;           /* so many calls are to use no kept connection */
    int64_t look_us;        /* when the next look at their speed is due */
    const char *proxy;      /* borrowed; NULL: none */
    struct sockets sockets; /* closed before the first call */
    const char *ca_file, *ca_path; /* the system's, of the library; or NULL */
    struct call *items;
};

/* Called by libcurl before it sends a request. If a connection that was used
 * before dies without a reply, libcurl sends the request again, up to five times,
 * and tells nobody: that may be paid for each time. A request of which no byte
 * was sent may go again; what went to a proxy, for a tunnel, is none of it. (A
 * body that can be given only once would keep it from that, too, but goes off by
 * itself, behind its header.) */
static int
before_request(void *user, char *remote, char *local, int remote_port,
               int local_port)
{
    struct call *call = user;
    long bytes = 0;

    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    (void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &bytes);
    call->is_sent_again = call->has_asked && bytes > call->asked_bytes;
    call->has_asked = true;
    call->asked_bytes = bytes;
    return call->is_sent_again ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* What came of it. While a call only waits it has none, which has room for many
 * headers. */
static struct reply *
reply_of(struct call *call)
{
    if (!call->reply)
        call->reply = reply_new();
    return call->reply;
}

/* Called by libcurl with each piece of a body. */
static size_t
take_body(char *data, size_t size, size_t count, void *user)
{
    struct call *call = user;
    struct reply *reply = reply_of(call);
    size_t bytes = size * count;

    if (bytes > (size_t)call->reply_bytes_max - reply->body.bytes) {
        call->is_too_large = true;
        return 0; /* ends the call */
    }
    buf_add(&reply->body, data, bytes);
    return bytes;
}

/* Called by libcurl with each line of a reply's head. */
static size_t
take_header(char *data, size_t size, size_t count, void *user)
{
    struct call *call = user;
    size_t bytes = size * count;
    const char *colon = memchr(data, ':', bytes);

    call->header_bytes += bytes;
    if (call->header_bytes > CALL_HEADER_BYTES_MAX) {
        call->is_too_large = true;
        return 0;
    }
    /* After an interim reply another head follows: only the last one counts. */
    if (bytes >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        reply_of(call)->headers.count = 0;
        call->has_head = false;
        call->has_begun = bytes > 9 && data[9] != '1';
    } else if (bytes <= 2) {
        call->has_head = true; /* the blank line behind it */
    } else if (colon) {
        struct slice name = { data, (size_t)(colon - data) };
        struct slice value = { colon + 1, bytes - name.bytes - 1 };

        hint_keep(&reply_of(call)->headers, name, value);
    }
    return bytes;
}

static curl_socket_t
open_socket(void *user, curlsocktype type, struct curl_sockaddr *address)
{
    (void)user;
    (void)type;
    return socket(address->family, address->socktype | SOCK_CLOEXEC,
                  address->protocol);
}

/* Options are constants, so a refusal means that the library cannot do what we
 * rely on. */
static void
must(CURLcode code, const char *what)
{
    if (code != CURLE_OK)
        log_fatal("event=curl_failed option=%s reason=\"%s\"", what,
                  curl_easy_strerror(code));
}

#define SET(easy, option, value) \
    must(curl_easy_setopt((easy), (option), (value)), #option)

/* What is the same for every call. */
static CURL *
new_easy(const struct calls *calls, struct call *call)
{
    CURL *easy = curl_easy_init();

    if (!easy)
        log_fatal("event=curl_failed reason=\"no handle\"");
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    /* HTTP/2 in this version of the library stalls now and then, and five
     * connections are no burden. */
    SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(easy, CURLOPT_PROXY, calls->proxy ? calls->proxy : "");
    if (!calls->proxy) /* or it looks for exceptions in the environment */
        SET(easy, CURLOPT_NOPROXY, "*");
    SET(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    /* A name is looked up by a thread of the library. To end a call while it
     * runs would wait for it, and with it the whole loop, 10 s and more if the
     * name server is dead; so it is left to end by itself. */
    SET(easy, CURLOPT_QUICK_EXIT, 1L);
    SET(easy, CURLOPT_MAXAGE_CONN, CONNECTION_AGE_S);
    SET(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(easy, CURLOPT_TCP_NODELAY, 1L);
    SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(easy, CURLOPT_USERAGENT, "sheaf-worker/" SHEAF_VERSION);
    SET(easy, CURLOPT_PREREQFUNCTION, before_request);
    SET(easy, CURLOPT_PREREQDATA, call);
    SET(easy, CURLOPT_WRITEFUNCTION, take_body);
    SET(easy, CURLOPT_WRITEDATA, call);
    SET(easy, CURLOPT_HEADERFUNCTION, take_header);
    SET(easy, CURLOPT_HEADERDATA, call);
    SET(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(easy, CURLOPT_ERRORBUFFER, call->error);
    SET(easy, CURLOPT_PRIVATE, call);
    SET(easy, CURLOPT_POST, 1L);
    return easy;
}

struct calls *
calls_new(size_t max, const char *proxy)
{
    struct calls *calls = mem_zalloc(1, sizeof(*calls));

    calls->max = max;
    calls->proxy = proxy;
    calls->items = mem_zalloc(max, sizeof(*calls->items));
    return calls;
}

int
calls_load(struct calls *calls, struct err *err)
{
    if (calls->sockets.multi)
        return 0;
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
        return err_set(err, E_IO, "libcurl cannot be initialised");
    calls->ca_file = curl_version_info(CURLVERSION_NOW)->cainfo;
    calls->ca_path = curl_version_info(CURLVERSION_NOW)->capath;
    sockets_open(&calls->sockets, calls->max);
    return 0;
}

static void
free_headers(struct call *call)
{
    head_wipe(&call->head);
    call->headers = NULL;
}

/* The call is over: its place is free, its handle and connection are kept. */
static void
retire(struct calls *calls, struct call *call)
{
    sockets_must(curl_multi_remove_handle(calls->sockets.multi, call->easy));
    free_headers(call);
    call->is_running = false;
    calls->running--;
}

void
calls_free(struct calls *calls)
{
    bool is_loaded;

    if (!calls)
        return;
    for (size_t i = 0; i < calls->max; i++) {
        struct call *call = &calls->items[i];

        if (call->is_running)
            calls_abort(calls, call);
        curl_easy_cleanup(call->easy); /* NULL is fine */
        curl_url_cleanup(call->url_parts);
        buf_fini(&call->base_url);
        buf_fini(&call->path);
        head_fini(&call->head);
        reply_free(call->reply);
    }
    is_loaded = calls->sockets.multi != NULL;
    sockets_close(&calls->sockets);
    if (is_loaded)
        curl_global_cleanup();
    free(calls->items);
    free(calls);
}

static void
add_headers(struct call *call, const struct call_order *order)
{
    struct head *head = &call->head;

    head_add(head, "Content-Type: ", slice_of(order->content_type));
    head_add(head, "Accept: application/json", slice_of(""));
    head_add(head, "Accept-Encoding: identity", slice_of(""));
    head_add(head, "Expect:", slice_of("")); /* or large bodies wait 1 s */
    if (order->attempt) {
        head_add(head, "Idempotency-Key: ", slice_of(order->attempt));
        head_add(head, "X-Request-Id: ", slice_of(order->attempt));
    }
    if (order->key.bytes > 0)
        head_add(head, order->key_header, order->key);
    for (size_t i = 0; i < order->header_count; i++) {
        if (!order->headers[i])
            break;
        head_add(head, order->headers[i], slice_of(""));
    }
    call->headers = head_lines(head);
}

/* The path comes from the broker: it must stay a path, in one line, and can
 * make no other host of the URL. */
static int
make_url(const struct call_order *order, struct buf *url, struct err *err)
{
    const char *path = order->path;

    if (url_check(order->base_url, err) < 0)
        return err_wrap(err, "base_url");
    if (*path && *path != '/')
        return err_set(err, E_INVALID, "path: does not begin with a slash");
    for (const char *at = path; *at; at++) {
        if (*at <= ' ' || *at >= 0x7f || *at == '#' || *at == '\\')
            return err_set(err, E_INVALID, "path: not well-formed");
    }
    buf_add_str(url, order->base_url);
    while (*path && url->bytes && url->data[url->bytes - 1] == '/') {
        url->data[--url->bytes] = '\0';
    }
    buf_add_str(url, path);
    return 0;
}

/* Most calls go where the last one went: neither need we look at that again, nor
 * libcurl take it apart. */
static bool
is_aimed(const struct call *call, const struct call_order *order)
{
    return call->base_url.bytes > 0 &&
           slice_equal(buf_slice(&call->base_url), slice_of(order->base_url)) &&
           slice_equal(buf_slice(&call->path), slice_of(order->path));
}

/* What libcurl cannot take apart ends as it does there, when the call is made. */
static void
aim(struct call *call, const struct call_order *order, const struct buf *url)
{
    bool is_parsed;

    buf_reset(&call->base_url);
    buf_add_str(&call->base_url, order->base_url);
    buf_reset(&call->path);
    buf_add_str(&call->path, order->path);
    is_parsed = curl_url_set(call->url_parts, CURLUPART_URL, url->data,
                             CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    SET(call->easy, CURLOPT_URL, url->data);
    SET(call->easy, CURLOPT_CURLU, is_parsed ? call->url_parts : NULL);
}

/* Without a URL it goes where the last one went. */
static void
prepare(struct calls *calls, struct call *call, const struct call_order *order,
        const struct buf *url)
{
    reply_free(call->reply); /* it was aborted */
    call->reply = NULL;
    call->reply_bytes_max = order->reply_bytes_max;
    call->header_bytes = 0;
    call->has_begun = false;
    call->has_head = false;
    call->is_too_large = false;
    call->is_too_slow = false;
    call->low_speed_ms = order->low_speed_ms;
    call->low_speed_bytes = order->low_speed_bytes;
    call->mark_us = 0;
    call->error[0] = '\0';
    if (!call->easy) {
        call->easy = new_easy(calls, call);
        call->url_parts = curl_url();
        if (!call->url_parts)
            log_fatal("event=out_of_memory where=curl");
    }
    add_headers(call, order);
    if (url->bytes > 0)
        aim(call, order, url);
    SET(call->easy, CURLOPT_FRESH_CONNECT, calls->distrust > 0 ? 1L : 0L);
    SET(call->easy, CURLOPT_FORBID_REUSE, calls->distrust > 0 ? 1L : 0L);
    calls->distrust -= calls->distrust > 0;
    SET(call->easy, CURLOPT_HTTPHEADER, call->headers);
    call->has_asked = call->is_sent_again = false;
    SET(call->easy, CURLOPT_POSTFIELDS,
        order->body.bytes > 0 ? order->body.data : "");
    SET(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)order->body.bytes);
    /* With a file of our own, the directory of the system's does not count. */
    SET(call->easy, CURLOPT_CAINFO,
        order->ca_file ? order->ca_file : calls->ca_file);
    SET(call->easy, CURLOPT_CAPATH, order->ca_file ? NULL : calls->ca_path);
    SET(call->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)order->connect_timeout_ms);
    SET(call->easy, CURLOPT_TIMEOUT_MS, (long)order->timeout_ms);
}

int
calls_start(struct calls *calls, const struct call_order *order,
            struct call **call, struct err *err)
{
    struct buf url = { 0 };
    struct call *free_call = NULL;
    int rc;

    *call = NULL;
    for (size_t i = 0; i < calls->max && !free_call; i++) {
        if (!calls->items[i].is_running)
            free_call = &calls->items[i];
    }
    if (!free_call)
        return err_set(err, E_FULL, "%zu calls are running", calls->max);
    rc = is_aimed(free_call, order) ? 0 : make_url(order, &url, err);
    if (rc == 0)
        rc = calls_load(calls, err);
    if (rc == 0) {
        prepare(calls, free_call, order, &url);
        sockets_must(
            curl_multi_add_handle(calls->sockets.multi, free_call->easy));
        free_call->is_running = true;
        calls->running++;
        *call = free_call;
    }
    buf_fini(&url);
    return rc;
}

static void
fill_reply(struct call *call, CURLcode code)
{
    struct reply *reply = reply_of(call);
    long status = 0, request_bytes = 0;
    curl_off_t total_us = 0;
    const char *reason = call->error;
    int rc;

    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    (void)curl_easy_getinfo(call->easy, CURLINFO_TOTAL_TIME_T, &total_us);
    /* libcurl's word for a line of the head that is longer than it takes. */
    call->is_too_large |= code == CURLE_OUT_OF_MEMORY && !call->has_head;
    if (!reason[0] && code != CURLE_OK) /* it may stay empty */
        reason = curl_easy_strerror(code);
    if (call->is_sent_again)
        reason = "the connection was closed before a reply came";
    reply->end = call->is_too_large    ? REPLY_TOO_LARGE
                 : call->is_sent_again ? REPLY_CUT
                                       : curl_end_of(code);
    /* A connection lost within the head is no error to libcurl. */
    if (reply->end == REPLY_COMPLETE && !call->has_head)
        reply->end = REPLY_CUT;
    reply->http_status = (int)status;
    reply->is_sent = call->is_sent_again ||
                     (call->has_asked && request_bytes > call->asked_bytes);
    reply->latency_ms = (int64_t)(total_us / 1000);
    if (call->is_too_slow) {
        reply->end = REPLY_TIMEOUT;
        rc = snprintf(reply->reason, sizeof(reply->reason),
                      "the reply stalled: fewer than %lld bytes in %lld ms",
                      (long long)call->low_speed_bytes,
                      (long long)call->low_speed_ms);
        assert(rc > 0);
    } else if (reply->end != REPLY_COMPLETE && !call->is_too_large) {
        rc = snprintf(reply->reason, sizeof(reply->reason), "%s", reason);
        if (rc < 0)
            reply->reason[0] = '\0';
    }
}

/* True of a call whose connection had served before and then died without a
 * reply. */
static bool
was_let_down(const struct call *call)
{
    long made = 0;

    (void)curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &made);
    return call->is_sent_again ||
           (call->reply->end == REPLY_CUT && made == 0 && !call->has_begun);
}

/* Finds out whether a reply that has begun comes too slowly. libcurl's own limit
 * would count the time before the first byte as well. */
static void
look(struct call *call, int64_t now_us)
{
    size_t bytes;

    if (!call->has_begun || call->low_speed_ms == 0)
        return;
    bytes = call->header_bytes + reply_of(call)->body.bytes;
    if (call->mark_us > 0) {
        if (now_us - call->mark_us < call->low_speed_ms * US_A_MS)
            return;
        call->is_too_slow =
            (int64_t)(bytes - call->mark_bytes) < call->low_speed_bytes;
    }
    call->mark_us = now_us;
    call->mark_bytes = bytes;
}

/* The first call that is too slow; or NULL. */
static struct call *
find_slow(struct calls *calls)
{
    for (size_t i = 0; i < calls->max; i++) {
        if (calls->items[i].is_running && calls->items[i].is_too_slow)
            return &calls->items[i];
    }
    return NULL;
}

void
calls_perform(struct calls *calls)
{
    int64_t now_us;
    int going;

    if (calls->running == 0)
        return;
    if (sockets_perform(&calls->sockets, &going))
        calls->has_ended = (size_t)going < calls->running;
    now_us = clock_mono_us();
    if (now_us < calls->look_us)
        return;
    calls->look_us = now_us + LOOK_US;
    for (size_t i = 0; i < calls->max; i++) {
        if (calls->items[i].is_running)
            look(&calls->items[i], now_us);
    }
    calls->has_slow = find_slow(calls) != NULL;
}

/* The next call of which libcurl says that it has ended, and how; or NULL. */
static struct call *
next_ended(struct calls *calls, CURLcode *code)
{
    struct call *call = NULL;
    CURLMsg *message;
    int count = 0;

    while (!call &&
           (message = curl_multi_info_read(calls->sockets.multi, &count))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        must(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call),
             "CURLINFO_PRIVATE");
        *code = message->data.result;
        call->is_too_slow = false; /* it has come to its end all the same */
    }
    calls->has_ended = count > 0;
    return call;
}

struct call *
calls_take(struct calls *calls, struct reply **reply)
{
    struct call *call = NULL;
    CURLcode code = CURLE_OPERATION_TIMEDOUT;

    if (calls->has_ended)
        call = next_ended(calls, &code);
    if (!call && calls->has_slow) {
        call = find_slow(calls);
        calls->has_slow = call != NULL;
    }
    if (call) {
        fill_reply(call, code);
        if (was_let_down(call))
            calls->distrust = DISTRUST_CALLS;
        retire(calls, call);
        *reply = call->reply;
        call->reply = NULL;
    }
    return call;
}

void
calls_abort(struct calls *calls, struct call *call)
{
    assert(call->is_running);
    retire(calls, call);
}

bool
calls_have_ended(const struct calls *calls)
{
    return calls->has_ended || calls->has_slow;
}

bool
calls_wait(struct calls *calls, struct pollfd *fds, size_t fd_count,
           int timeout_ms)
{
    if (calls_have_ended(calls)) /* nothing will wake us for it */
        timeout_ms = 0;
    return sockets_wait(&calls->sockets, fds, fd_count, timeout_ms);
}
