/*
 * The only file that starts and stops watchers of a connection.  Listener
 * thread.
 *
 * What to watch is derived from state and buffers after every advance, and
 * libev is called only where that differs from what it already does: a
 * connection that only passes bytes on never touches its watchers.  Nor does
 * it touch its timer: activity moves since_ms, and a timer that fires too
 * early because of that is armed again for the true deadline.
 *
 * A client with no watcher at all (it has ended, or its upload is held back)
 * is watched for errors by the thread's error set, see conn_set.c.
 */
#include "proxy/conn_inner.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "config/config.h"
#include "proxy/socket.h"

/* ---- deadlines ---- */

static int64_t
state_deadline(const struct conn *conn)
{
	const char *settings = (const char *)conn->settings;
	const uint32_t *timeout_ms =
	    (const uint32_t *)(const void *)(settings + conn->state->timeout);

	return conn->since_ms + *timeout_ms;
}

static int64_t
lifetime_deadline(const struct conn *conn)
{
	uint32_t max_ms = conn->settings->max_lifetime_ms;

	return max_ms > 0 ? conn->started_ms + max_ms : INT64_MAX;
}

/*
 * A backend is probed after keepalive of silence, so the socket need not know
 * before that much has passed: short connections save the two calls.  The
 * kernel counts the silence so far when it is told.
 */
static int64_t
keepalive_deadline(const struct conn *conn)
{
	uint32_t keepalive_ms = conn->settings->keepalive_ms;

	if (!conn->connected || conn->kept_alive || keepalive_ms == 0)
		return INT64_MAX;
	return conn->started_ms + conn->handshake_ms + conn->connect_ms +
	       keepalive_ms;
}

static int64_t
earlier(int64_t a_ms, int64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

static int64_t
deadline(const struct conn *conn)
{
	int64_t end_ms = earlier(state_deadline(conn), lifetime_deadline(conn));

	return earlier(
	    end_ms, earlier(keepalive_deadline(conn), conn->rival_ms));
}

static void
watch_time(struct conn *conn)
{
	struct ev_loop *loop = conn->set->loop;
	int64_t deadline_ms = deadline(conn);
	int64_t wait_ms;

	if (deadline_ms >= conn->armed_ms)
		return;
	wait_ms = deadline_ms - conn->set->now_ms;
	conn->armed_ms = deadline_ms;
	ev_timer_stop(loop, &conn->timer);
	ev_timer_set(
	    &conn->timer, (ev_tstamp)(wait_ms > 1 ? wait_ms : 1) / 1e3, 0.);
	ev_timer_start(loop, &conn->timer);
}

/*
 * Nothing left our buffers, but is the kernel still delivering?  It takes new
 * bytes only when a third of its own buffer is free, which on a slow line can
 * be longer than a timeout.
 */
static bool
still_takes(int fd, int *unsent)
{
	int before = *unsent;

	if (ioctl(fd, SIOCOUTQ, unsent) != 0)
		*unsent = 0;
	return *unsent > 0 && *unsent != before;
}

static bool
somebody_still_takes(struct conn *conn)
{
	bool client = still_takes(conn->client.fd, &conn->client_unsent);
	bool backend = still_takes(conn->backend.fd, &conn->backend_unsent);

	return client || backend;
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *watcher, int revents)
{
	struct conn *conn = watcher->data;
	int64_t now_ms = clock_mono_ms();

	(void)loop;
	(void)revents;
	conn->armed_ms = INT64_MAX;
	if (now_ms >= lifetime_deadline(conn)) {
		conn_close(conn, CONN_LIFETIME);
		return;
	}
	if (now_ms >= keepalive_deadline(conn)) {
		socket_set_keepalive(
		    conn->backend.fd, conn->settings->keepalive_ms);
		conn->kept_alive = true;
	}
	if (now_ms >= state_deadline(conn) && conn->connected &&
	    somebody_still_takes(conn))
		conn->since_ms = now_ms;
	if (now_ms >= state_deadline(conn))
		conn_late(conn);
	else if (now_ms >= conn->rival_ms)
		conn_advance(conn);
	else
		watch_time(conn);
}

/* ---- descriptors ---- */

static void
on_client(struct ev_loop *loop, struct ev_io *watcher, int revents)
{
	struct conn *conn = watcher->data;

	(void)loop;
	if (revents & EV_READ)
		stream_readable(&conn->client);
	if (revents & EV_WRITE)
		stream_writable(&conn->client);
	conn_advance(conn);
}

static void
on_backend(struct ev_loop *loop, struct ev_io *watcher, int revents)
{
	struct conn *conn = watcher->data;

	(void)loop;
	if (revents & EV_READ)
		stream_readable(&conn->backend);
	if (revents & EV_WRITE)
		stream_writable(&conn->backend);
	conn_advance(conn);
}

static void
on_rival(struct ev_loop *loop, struct ev_io *watcher, int revents)
{
	(void)loop;
	(void)revents;
	conn_advance(watcher->data);
}

static void
watch(struct ev_loop *loop, struct ev_io *watcher, int fd, int events)
{
	int current = ev_is_active(watcher)
			  ? watcher->events & (EV_READ | EV_WRITE)
			  : 0;

	if (current == events)
		return;
	ev_io_stop(loop, watcher);
	if (events == 0)
		return;
	/* libev asks the kernel again for a watcher that was set, so set only
	 * when the descriptor is another. */
	if (watcher->fd != fd)
		ev_io_set(watcher, fd, events);
	else
		ev_io_modify(watcher, events);
	ev_io_start(loop, watcher);
}

static int
client_events(const struct conn *conn)
{
	int events = 0;

	/* A flight that cannot leave comes before the next one. */
	if (!conn->handshake_done)
		return stream_wants_write(&conn->client) ? EV_WRITE : EV_READ;
	if (relay_wants_input(&conn->up))
		events |= EV_READ;
	if (relay_wants_output(&conn->down))
		events |= EV_WRITE;
	return events;
}

static int
backend_events(const struct conn *conn)
{
	int events = 0;

	if (conn->backend.fd == -1)
		return 0;
	if (!conn->connected)
		return EV_WRITE;
	if (relay_wants_input(&conn->down))
		events |= EV_READ;
	if (relay_wants_output(&conn->up))
		events |= EV_WRITE;
	return events;
}

/* ---- all of it ---- */

void
conn_watch_init(struct conn *conn)
{
	list_init(&conn->runnable);
	list_init(&conn->held);
	list_init(&conn->unread);
	ev_init(&conn->client_io, on_client);
	ev_init(&conn->backend_io, on_backend);
	ev_init(&conn->timer, on_timer);
	conn->client_io.fd = -1;
	conn->backend_io.fd = -1;
	conn->client_io.data = conn;
	conn->backend_io.data = conn;
	conn->timer.data = conn;
	conn->armed_ms = INT64_MAX;
	conn->rival_ms = INT64_MAX;
}

void
conn_watch_rival_init(struct conn *conn, struct conn_rival *rival)
{
	rival->fd = -1;
	ev_init(&rival->io, on_rival);
	rival->io.fd = -1;
	rival->io.data = conn;
}

static void
watch_rivals(struct conn *conn)
{
	for (int i = 0; conn->rivals != NULL && i < CONN_RIVALS_MAX; i++) {
		struct conn_rival *rival = &conn->rivals[i];

		watch(conn->set->loop, &rival->io, rival->fd,
		    rival->fd >= 0 ? EV_WRITE : 0);
	}
}

void
conn_watch(struct conn *conn)
{
	struct ev_loop *loop = conn->set->loop;
	int events = client_events(conn);

	watch(loop, &conn->client_io, conn->client.fd, events);
	if (events == 0)
		conn_set_guard(conn);
	else
		conn_set_unguard(conn);
	watch(loop, &conn->backend_io, conn->backend.fd, backend_events(conn));
	watch_rivals(conn);
	watch_time(conn);
	if (conn->client.output_deferred && list_is_empty(&conn->held))
		conn_set_hold(conn);
	else if (!conn->client.output_deferred)
		list_remove(&conn->held);
}

void
conn_unwatch_backend(struct conn *conn)
{
	ev_io_stop(conn->set->loop, &conn->backend_io);
	/* The next descriptor may get the same number. */
	conn->backend_io.fd = -1;
}

void
conn_unwatch_rival(struct conn *conn, struct conn_rival *rival)
{
	ev_io_stop(conn->set->loop, &rival->io);
	rival->io.fd = -1;
}

void
conn_unwatch(struct conn *conn)
{
	ev_io_stop(conn->set->loop, &conn->client_io);
	conn_unwatch_backend(conn);
	ev_timer_stop(conn->set->loop, &conn->timer);
	conn_set_unguard(conn);
	list_remove(&conn->held);
	list_remove(&conn->runnable);
}
