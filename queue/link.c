/* SPDX-License-Identifier: MIT */
#include "queue/link.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/log.h"
#include "base/mem.h"
#include "queue/endpoint.h"
#include "queue/socket_file.h"

#define HEARTBEAT_MS         5000
#define HEARTBEAT_TIMEOUT_MS 15000
#define HANDSHAKE_MS         10000
#define RECONNECT_MS         50
#define RECONNECT_MAX_MS     1000
#define BACKLOG              128
#define ENDPOINT_BYTES_MAX   512
#define FRAMES_MAX           2
#define GIVE_BYTES_MIN       65536 /* shorter bodies are copied */
/* So are those that come: up to the size of a block that libzmq reads into, they
 * lie in one with others, and would keep all of it. */
#define TAKE_BYTES_MIN 8193

struct link_context {
    void *zmq;
};

struct link {
    void *socket;
    struct socket_file files[LINK_FILES_MAX]; /* of bound ipc:// endpoints */
    size_t file_count;
    void *monitor; /* connected links only: events of the connection */
    bool is_bound;
    bool is_watched; /* its owner tells of each poll */
    /* libzmq had nothing when it was asked last; nothing was sent since that could
     * have brought something to light, and no poll has shown anything. */
    bool is_drained, is_sign_drained;
};

struct link_body {
    zmq_msg_t frame; /* libzmq counts who has its bytes */
};

/* What libzmq refuses here, it never should. */
static void
must(bool is_done)
{
    if (!is_done)
        log_fatal("event=zmq_failed reason=\"%s\"", zmq_strerror(errno));
}

struct link_context *
link_context_new(void)
{
    struct link_context *context = mem_zalloc(1, sizeof(*context));

    context->zmq = zmq_ctx_new();
    must(context->zmq != NULL);
    return context;
}

void
link_context_free(struct link_context *context)
{
    if (!context)
        return;
    while (zmq_ctx_term(context->zmq) < 0 && errno == EINTR)
        ;
    free(context);
}

static void
set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof(value));

    /* Options and values are constants: a refusal is a bug. */
    assert(rc == 0);
    (void)rc;
}

static void
set_common(void *socket, struct link_limits limits)
{
    int rc = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &limits.frame_bytes_max,
                            sizeof(limits.frame_bytes_max));

    assert(rc == 0);
    (void)rc;
    set_int(socket, ZMQ_RCVHWM, limits.queue_max);
    set_int(socket, ZMQ_SNDHWM, limits.queue_max);
    set_int(socket, ZMQ_LINGER, 0);
    set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
}

static struct link *
link_new(struct link_context *context, int type, struct link_limits limits)
{
    struct link *link = mem_zalloc(1, sizeof(*link));

    link->socket = zmq_socket(context->zmq, type);
    must(link->socket != NULL);
    link->is_bound = type == ZMQ_ROUTER;
    set_common(link->socket, limits);
    return link;
}

struct link *
link_bind(struct link_context *context, const char *endpoint,
          struct link_limits limits, struct err *err)
{
    struct link *link = link_new(context, ZMQ_ROUTER, limits);

    /* Without it, messages to peers that are gone vanish in silence. */
    set_int(link->socket, ZMQ_ROUTER_MANDATORY, 1);
    set_int(link->socket, ZMQ_BACKLOG, BACKLOG);
    if (link_bind_also(link, endpoint, err) < 0) {
        link_close(link, 0);
        return NULL;
    }
    return link;
}

int
link_bind_also(struct link *link, const char *endpoint, struct err *err)
{
    const char *path = endpoint_path(endpoint);
    int rc = endpoint_check(endpoint, err);

    if (rc < 0)
        return rc;
    if (link->file_count == LINK_FILES_MAX)
        return err_set(err, E_USAGE, "too many endpoints");
    if (path && socket_file_is_taken(path)) {
        return err_set(err, E_INUSE,
                       "listen on %s: another process listens there", endpoint);
    }
    if (path && !socket_file_may_replace(path)) {
        return err_set(err, E_USAGE,
                       "listen on %s: a file that is no socket stands there",
                       endpoint);
    }
    if (zmq_bind(link->socket, endpoint) < 0) {
        return err_set(err, E_IO, "listen on %s: %s", endpoint,
                       zmq_strerror(errno));
    }
    if (path && socket_file_note(&link->files[link->file_count], path))
        link->file_count++;
    return 0;
}

int
link_renew(struct link *link, struct err *err)
{
    int count = 0, rc = 0;

    for (size_t i = 0; i < link->file_count && rc == 0; i++) {
        struct socket_file *file = &link->files[i];
        struct buf endpoint = { 0 };

        if (!socket_file_is_gone(file))
            continue;
        buf_addf(&endpoint, "ipc://%s", file->path);
        if (zmq_bind(link->socket, endpoint.data) < 0) {
            rc = err_set(err, E_IO, "listen on %s again: %s", endpoint.data,
                         zmq_strerror(errno));
        } else {
            (void)socket_file_note(file, file->path);
            count++;
        }
        buf_fini(&endpoint);
    }
    return rc < 0 ? rc : count;
}

void
link_endpoint(const struct link *link, struct buf *out)
{
    char endpoint[ENDPOINT_BYTES_MAX];
    size_t bytes = sizeof(endpoint);
    int rc = zmq_getsockopt(link->socket, ZMQ_LAST_ENDPOINT, endpoint, &bytes);

    assert(rc == 0);
    (void)rc;
    buf_add_str(out, endpoint);
}

/* Asks libzmq to tell when the connection is made. */
static void
watch(struct link_context *context, struct link *link)
{
    char name[64];
    int rc = snprintf(name, sizeof(name), "inproc://monitor-%p",
                      (void *)link->socket);

    assert(rc > 0);
    rc = zmq_socket_monitor(link->socket, name, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    assert(rc == 0);
    link->monitor = zmq_socket(context->zmq, ZMQ_PAIR);
    must(link->monitor != NULL);
    set_int(link->monitor, ZMQ_LINGER, 0);
    rc = zmq_connect(link->monitor, name);
    assert(rc == 0);
    (void)rc;
}

struct link *
link_connect(struct link_context *context, const char *endpoint,
             struct link_limits limits, struct err *err)
{
    struct link *link;

    if (endpoint_check(endpoint, err) < 0)
        return NULL;
    link = link_new(context, ZMQ_DEALER, limits);
    /* Queue only to a broker that is there: nothing waits unseen. */
    set_int(link->socket, ZMQ_IMMEDIATE, 1);
    set_int(link->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    set_int(link->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    watch(context, link);
    if (zmq_connect(link->socket, endpoint) < 0) {
        err_set(err, E_USAGE, "connect to %s: %s", endpoint,
                zmq_strerror(errno));
        link_close(link, 0);
        return NULL;
    }
    return link;
}

void
link_close(struct link *link, int linger_ms)
{
    if (!link)
        return;
    set_int(link->socket, ZMQ_LINGER, linger_ms);
    if (link->monitor) {
        (void)zmq_socket_monitor(link->socket, NULL, 0);
        (void)zmq_close(link->monitor);
    }
    for (size_t i = 0; i < link->file_count; i++)
        socket_file_clear(&link->files[i]);
    (void)zmq_close(link->socket);
    free(link);
}

void
link_body_free(struct link_body *body)
{
    if (!body)
        return;
    zmq_msg_close(&body->frame);
    free(body);
}

struct slice
link_body_text(const struct link_body *body)
{
    return (struct slice){ zmq_msg_data((zmq_msg_t *)&body->frame),
                           zmq_msg_size(&body->frame) };
}

/* Receives one frame, which the caller closes. 1: none there. *more: another one
 * follows. */
static int
take_frame(struct link *link, zmq_msg_t *frame, bool *more)
{
    int rc;

    zmq_msg_init(frame);
    do
        rc = zmq_msg_recv(frame, link->socket, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        zmq_msg_close(frame);
        must(errno == EAGAIN);
        return 1;
    }
    *more = zmq_msg_more(frame) != 0;
    return 0;
}

/* Receives the id of a message's peer, which is too long if somebody has set one
 * of its own: it is counted, and not kept. 1: there is no message. */
static int
recv_peer(struct link *link, struct link_peer *peer, bool *more)
{
    zmq_msg_t frame;

    if (take_frame(link, &frame, more) == 1)
        return 1;
    *peer = (struct link_peer){ .bytes = zmq_msg_size(&frame) };
    if (peer->bytes <= sizeof(peer->id))
        memcpy(peer->id, zmq_msg_data(&frame), peer->bytes);
    zmq_msg_close(&frame);
    return 0;
}

static int
found_nothing(struct link *link)
{
    link->is_drained = true;
    return 1;
}

/* Takes a frame into the buffer; or as it is, where it is large and wanted so. */
static void
keep_frame(zmq_msg_t *frame, struct buf *out, struct link_body **large)
{
    if (large && zmq_msg_size(frame) >= TAKE_BYTES_MIN) {
        *large = mem_zalloc(1, sizeof(**large));
        zmq_msg_init(&(*large)->frame);
        must(zmq_msg_move(&(*large)->frame, frame) == 0);
    } else {
        buf_add(out, zmq_msg_data(frame), zmq_msg_size(frame));
    }
    zmq_msg_close(frame);
}

/* Receives what is behind the peer: a header, and a body if there is one. More
 * frames than those are dropped. */
static int
recv_frames(struct link *link, struct buf *head, struct buf *body,
            struct link_body **large)
{
    bool more = true;
    int count = 0;

    for (; more; count++) {
        zmq_msg_t frame;

        /* The frames of a message arrive together: none can be missing. */
        if (take_frame(link, &frame, &more) == 1) {
            return count == 0 && !link->is_bound ? found_nothing(link)
                                                 : E_PROTOCOL;
        }
        if (count == 0)
            keep_frame(&frame, head, NULL);
        else if (count == 1)
            keep_frame(&frame, body, large);
        else
            zmq_msg_close(&frame);
    }
    return count <= FRAMES_MAX && head->bytes ? 0 : E_PROTOCOL;
}

/* As link_take(), but for a large body of a message of another form, which is
 * left to the caller. */
static int
recv_message(struct link *link, struct link_peer *peer, struct buf *head,
             struct buf *body, struct link_body **large)
{
    bool more = true, is_whole = true;
    int rc = E_PROTOCOL;

    buf_reset(head);
    buf_reset(body);
    if (link->is_watched && link->is_drained)
        return 1;
    link->is_drained = false; /* unless nothing is found */
    if (link->is_bound) {
        assert(peer);
        if (recv_peer(link, peer, &more) == 1)
            return found_nothing(link);
        is_whole = peer->bytes <= sizeof(peer->id);
    }
    if (more)
        rc = recv_frames(link, head, body, large);
    return rc == 0 && !is_whole ? E_PROTOCOL : rc;
}

int
link_recv(struct link *link, struct link_peer *peer, struct buf *head,
          struct buf *body)
{
    return recv_message(link, peer, head, body, NULL);
}

int
link_take(struct link *link, struct link_peer *peer, struct buf *head,
          struct buf *body, struct link_body **large)
{
    int rc;

    *large = NULL;
    rc = recv_message(link, peer, head, body, large);
    if (rc < 0) {
        link_body_free(*large);
        *large = NULL;
    }
    return rc;
}

/* Sends a frame, which the link takes on success. */
static int
send_frame(struct link *link, zmq_msg_t *frame, int flags)
{
    int rc;

    link->is_drained = false;
    do
        rc = zmq_msg_send(frame, link->socket, ZMQ_DONTWAIT | flags);
    while (rc < 0 && errno == EINTR);
    if (rc >= 0)
        return 0;
    must(errno == EHOSTUNREACH || errno == EAGAIN);
    rc = errno == EAGAIN && link->is_bound ? E_FULL : E_UNREACHABLE;
    zmq_msg_close(frame);
    return rc;
}

static int
send_bytes(struct link *link, const void *data, size_t bytes, int flags)
{
    zmq_msg_t frame;

    must(zmq_msg_init_size(&frame, bytes) == 0);
    if (bytes)
        memcpy(zmq_msg_data(&frame), data, bytes);
    return send_frame(link, &frame, flags);
}

/* Called by libzmq's thread when the body is on its way. */
static void
free_given(void *data, void *hint)
{
    (void)hint;
    free(data);
}

/* Makes a frame of a buffer's content, which is libzmq's then. */
static void
give(zmq_msg_t *frame, struct buf *body)
{
    size_t bytes = body->bytes;

    must(zmq_msg_init_data(frame, buf_take(body), bytes, free_given, NULL) ==
         0);
}

/* Sends all but the body, which follows if there is one. */
static int
send_front(struct link *link, const struct link_peer *peer, struct slice head,
           bool has_body)
{
    int rc = 0;

    assert(link->is_bound == (peer != NULL));
    if (peer)
        rc = send_bytes(link, peer->id, peer->bytes, ZMQ_SNDMORE);
    return rc < 0 ? rc
                  : send_bytes(link, head.data, head.bytes,
                               has_body ? ZMQ_SNDMORE : 0);
}

int
link_send(struct link *link, const struct link_peer *peer, struct slice head,
          struct slice body)
{
    int rc = send_front(link, peer, head, body.bytes > 0);

    if (rc == 0 && body.bytes)
        rc = send_bytes(link, body.data, body.bytes, 0);
    return rc;
}

int
link_give(struct link *link, const struct link_peer *peer, struct slice head,
          struct buf *body)
{
    zmq_msg_t frame;
    int rc;

    if (body->bytes < GIVE_BYTES_MIN)
        return link_send(link, peer, head, buf_slice(body));
    rc = send_front(link, peer, head, true);
    if (rc < 0)
        return rc;
    give(&frame, body);
    return send_frame(link, &frame, 0);
}

struct link_body *
link_body_new(struct buf *text)
{
    struct link_body *body = mem_zalloc(1, sizeof(*body));

    give(&body->frame, text);
    return body;
}

int
link_share(struct link *link, const struct link_peer *peer, struct slice head,
           struct link_body *body)
{
    int rc = send_front(link, peer, head, true);
    zmq_msg_t frame;

    if (rc < 0)
        return rc;
    zmq_msg_init(&frame);
    must(zmq_msg_copy(&frame, &body->frame) == 0);
    return send_frame(link, &frame, 0);
}

static int
fd_of(void *socket)
{
    int fd = -1;
    size_t bytes = sizeof(fd);
    int rc = zmq_getsockopt(socket, ZMQ_FD, &fd, &bytes);

    assert(rc == 0);
    (void)rc;
    return fd;
}

int
link_fd(const struct link *link)
{
    return fd_of(link->socket);
}

int
link_sign_fd(const struct link *link)
{
    assert(!link->is_bound);
    return fd_of(link->monitor);
}

void
link_polled(struct link *link, bool has_mail, bool has_sign)
{
    link->is_watched = true;
    link->is_drained &= !has_mail;
    link->is_sign_drained &= !has_sign;
}

bool
link_was_connected(struct link *link)
{
    bool was_connected = false;

    if (!link->monitor || (link->is_watched && link->is_sign_drained))
        return false;
    link->is_sign_drained = true; /* when this has ended */
    for (;;) {
        zmq_msg_t frame;
        int rc;

        zmq_msg_init(&frame);
        rc = zmq_msg_recv(&frame, link->monitor, ZMQ_DONTWAIT);
        zmq_msg_close(&frame);
        if (rc < 0)
            return was_connected;
        was_connected = true;
    }
}
