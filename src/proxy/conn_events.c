/*
 * The events of the connections of one listener thread.  Listener thread.
 *
 * This file alone starts and stops watchers.  What to watch is derived from
 * state and buffers after every advance, and libev is called only where that
 * differs from what it does already: a connection that only passes bytes on
 * never changes its watchers.  Nor its timer: activity moves since_ms, and a
 * timer that fires too early because of that is armed again for the deadline.
 *
 * A connection that must go on without an event is queued.  The queue is run
 * once per turn of the loop, before it would wait, and each connection in it
 * gets one turn; an idle watcher keeps the loop from waiting meanwhile.
 *
 * The error set is an epoll descriptor inside the loop.  libev watches for
 * reading and writing only, and a level-triggered watcher for input that must
 * not be read yet would spin.  So a client that is watched for neither (it has
 * ended, or its upload is held back) joins the error set, edge-triggered and
 * without events: epoll reports EPOLLERR and EPOLLHUP in any case.  It joins
 * GUARD_MS later, because an upload that is held back for a moment should cost
 * no system call.
 */
#include "proxy/conn_inner.h"

#include <linux/sockios.h>
#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "proxy/listener.h"
#include "proxy/stats.h"

/*
 * A deferred ticket waits this long for the first response, to leave with it:
 * half of TCP's delayed acknowledgement, and enough to connect to a backend and
 * get its answer, with a turn full of handshakes in between.
 */
#define DEFER_MS 20

/* A dead client is noticed after this time at the latest. */
#define GUARD_MS 500
#define ERRORS_PER_TURN 64

/* The interval of reports, while there are suppressed lines. */
#define REPORT_S 1.0

/* Memory is trimmed once a peak of more than TRIM_MIN connections has fallen to
 * less than a quarter, and stays there for TRIM_DELAY_S. */
#define TRIM_MIN 256
#define TRIM_DELAY_S 1.0

/* The timer is not active.  It never fires in the same turn of the loop. */
static void
start_timer(struct ev_loop *loop, struct ev_timer *timer, int64_t wait_ms)
{
	ev_timer_set(timer, (ev_tstamp)(wait_ms > 1 ? wait_ms : 1) / 1e3, 0.);
	ev_timer_start(loop, timer);
}

/* ---- the queue ---- */

static void
run_queue(struct conn_set *set)
{
	struct list turn;

	/* Those that queue again run after the next poll for events. */
	list_init(&turn);
	list_splice(&turn, &set->runnable);
	while (!list_is_empty(&turn)) {
		struct conn *conn = container_of(
		    turn.next, struct conn, runnable);

		list_remove(&conn->runnable);
		conn_advance(conn);
	}
	if (list_is_empty(&set->runnable))
		ev_idle_stop(set->loop, &set->idle);
}

void
conn_set_run(struct conn *conn)
{
	struct conn_set *set = conn->set;

	if (!list_is_empty(&conn->runnable))
		return;
	list_append(&set->runnable, &conn->runnable);
	ev_idle_start(set->loop, &set->idle);
}

/* ---- deferred tickets ---- */

static void
arm_flush(struct conn_set *set)
{
	struct conn *first = container_of(
	    set->deferred.next, struct conn, deferred);

	start_timer(set->loop, &set->flush, first->deferred_ms - set->now_ms);
}

static void
on_flush(struct ev_loop *loop, struct ev_timer *watcher, int revents)
{
	struct conn_set *set = watcher->data;

	(void)loop;
	(void)revents;
	while (!list_is_empty(&set->deferred)) {
		struct conn *conn = container_of(
		    set->deferred.next, struct conn, deferred);

		if (conn->deferred_ms > set->now_ms) {
			arm_flush(set);
			return;
		}
		list_remove(&conn->deferred);
		/* A failure is found again in the next step. */
		(void)stream_flush(&conn->client);
		conn_advance(conn);
	}
}

/*
 * Send the ticket in DEFER_MS unless it leaves before.  All wait equally long,
 * so that the list is in the order of the deadlines and one timer serves it: a
 * handshake costs no timer of its own.
 */
static void
defer_ticket(struct conn *conn)
{
	struct conn_set *set = conn->set;

	conn->deferred_ms = set->now_ms + DEFER_MS;
	list_append(&set->deferred, &conn->deferred);
	if (!ev_is_active(&set->flush))
		arm_flush(set);
}

/* ---- the error set ---- */

static void
arm_guard(struct conn_set *set)
{
	struct conn *first = container_of(
	    set->unread.next, struct conn, unread);

	start_timer(set->loop, &set->guard, first->guard_ms - set->now_ms);
}

/* If the kernel has no memory, only its deadline ends the client. */
static void
join_errors(struct conn_set *set, struct conn *conn)
{
	struct epoll_event event = { .events = EPOLLET, .data.ptr = conn };

	conn->guarded = epoll_ctl(set->errors_fd, EPOLL_CTL_ADD,
			    conn->client.fd, &event) == 0;
}

static void
on_guard(struct ev_loop *loop, struct ev_timer *watcher, int revents)
{
	struct conn_set *set = watcher->data;

	(void)loop;
	(void)revents;
	while (!list_is_empty(&set->unread)) {
		struct conn *conn = container_of(
		    set->unread.next, struct conn, unread);

		if (conn->guard_ms > set->now_ms) {
			arm_guard(set);
			return;
		}
		list_remove(&conn->unread);
		join_errors(set, conn);
	}
}

static void
on_errors(struct ev_loop *loop, struct ev_io *watcher, int revents)
{
	struct conn_set *set = watcher->data;
	struct epoll_event events[ERRORS_PER_TURN];
	int count = epoll_wait(set->errors_fd, events, ERRORS_PER_TURN, 0);

	(void)loop;
	(void)revents;
	for (int i = 0; i < count; i++)
		conn_client_event(events[i].data.ptr, events[i].events);
}

static bool
open_errors(struct conn_set *set)
{
	set->errors_fd = epoll_create1(EPOLL_CLOEXEC);
	if (set->errors_fd < 0)
		return false;
	ev_io_init(&set->errors, on_errors, set->errors_fd, EV_READ);
	set->errors.data = set;
	ev_io_start(set->loop, &set->errors);
	return true;
}

/* Nothing is read from or written to the client for now.  All wait equally
 * long here, too. */
static void
guard_client(struct conn *conn)
{
	struct conn_set *set = conn->set;

	if (conn->guarded || !list_is_empty(&conn->unread))
		return;
	conn->guard_ms = set->now_ms + GUARD_MS;
	list_append(&set->unread, &conn->unread);
	if (!ev_is_active(&set->guard))
		arm_guard(set);
}

static void
unguard_client(struct conn *conn)
{
	list_remove(&conn->unread);
	if (!conn->guarded)
		return;
	conn->guarded = false;
	(void)epoll_ctl(
	    conn->set->errors_fd, EPOLL_CTL_DEL, conn->client.fd, NULL);
}

/* ---- deadlines of a connection ---- */

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
 * A backend is probed after keepalive of silence, so that the option need not
 * be set before that time has passed: short connections save the two calls.
 * The kernel counts the silence from before the option was set.
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
	    end_ms, earlier(keepalive_deadline(conn), conn->attempt_ms));
}

static void
watch_time(struct conn *conn)
{
	struct ev_loop *loop = conn->set->loop;
	int64_t deadline_ms = deadline(conn);

	if (deadline_ms >= conn->armed_ms)
		return;
	conn->armed_ms = deadline_ms;
	ev_timer_stop(loop, &conn->timer);
	start_timer(loop, &conn->timer, deadline_ms - conn->set->now_ms);
}

/*
 * Nothing left our buffers, but is the kernel still delivering?  It takes new
 * bytes only when a third of its own buffer is free, which on a slow line can
 * take longer than a timeout.
 */
static bool
still_delivers(int fd, int *unsent)
{
	int before = *unsent;

	if (ioctl(fd, SIOCOUTQ, unsent) != 0)
		*unsent = 0;
	return *unsent > 0 && *unsent != before;
}

static bool
either_still_delivers(struct conn *conn)
{
	bool client = still_delivers(conn->client.fd, &conn->client_unsent);
	bool backend = still_delivers(conn->backend.fd, &conn->backend_unsent);

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
	    either_still_delivers(conn))
		conn->since_ms = now_ms;
	if (now_ms >= state_deadline(conn))
		conn_timed_out(conn);
	else if (now_ms >= conn->attempt_ms)
		conn_advance(conn);
	else
		watch_time(conn);
}

/* ---- descriptors of a connection ---- */

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
on_attempt(struct ev_loop *loop, struct ev_io *watcher, int revents)
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
	/* ev_io_set makes libev call epoll_ctl again: only for another
	 * descriptor. */
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

	/* A flight that could not be sent comes before the next one. */
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

/* ---- one connection ---- */

void
conn_watch_init(struct conn *conn)
{
	list_init(&conn->runnable);
	list_init(&conn->deferred);
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
	conn->attempt_ms = INT64_MAX;
}

void
conn_init_attempt(struct conn *conn, struct conn_attempt *attempt)
{
	attempt->fd = -1;
	ev_init(&attempt->io, on_attempt);
	attempt->io.fd = -1;
	attempt->io.data = conn;
}

static void
watch_attempts(struct conn *conn)
{
	for (int i = 0; conn->attempts != NULL && i < CONN_ATTEMPTS_MAX; i++) {
		struct conn_attempt *attempt = &conn->attempts[i];

		watch(conn->set->loop, &attempt->io, attempt->fd,
		    attempt->fd >= 0 ? EV_WRITE : 0);
	}
}

void
conn_watch(struct conn *conn)
{
	struct ev_loop *loop = conn->set->loop;
	int events = client_events(conn);

	watch(loop, &conn->client_io, conn->client.fd, events);
	if (events == 0)
		guard_client(conn);
	else
		unguard_client(conn);
	watch(loop, &conn->backend_io, conn->backend.fd, backend_events(conn));
	watch_attempts(conn);
	watch_time(conn);
	if (conn->client.output_deferred && list_is_empty(&conn->deferred))
		defer_ticket(conn);
	else if (!conn->client.output_deferred)
		list_remove(&conn->deferred);
}

void
conn_unwatch_backend(struct conn *conn)
{
	ev_io_stop(conn->set->loop, &conn->backend_io);
	/* The next descriptor may get the same number. */
	conn->backend_io.fd = -1;
}

void
conn_unwatch_attempt(struct conn *conn, struct conn_attempt *attempt)
{
	ev_io_stop(conn->set->loop, &attempt->io);
	attempt->io.fd = -1;
}

void
conn_unwatch(struct conn *conn)
{
	ev_io_stop(conn->set->loop, &conn->client_io);
	conn_unwatch_backend(conn);
	ev_timer_stop(conn->set->loop, &conn->timer);
	unguard_client(conn);
	list_remove(&conn->deferred);
	list_remove(&conn->runnable);
}

/* ---- the set ---- */

static bool
should_trim(const struct conn_set *set)
{
	return set->peak > TRIM_MIN && set->count < set->peak / 4;
}

static void
on_check(struct ev_loop *loop, struct ev_check *watcher, int revents)
{
	struct conn_set *set = watcher->data;

	(void)loop;
	(void)revents;
	set->now_ms = clock_mono_ms();
}

static void
on_idle(struct ev_loop *loop, struct ev_idle *watcher, int revents)
{
	(void)loop;
	(void)watcher;
	(void)revents;
}

static void
on_prepare(struct ev_loop *loop, struct ev_prepare *watcher, int revents)
{
	struct conn_set *set = watcher->data;

	(void)revents;
	run_queue(set);
	if (should_trim(set) && !ev_is_active(&set->trim)) {
		ev_timer_set(&set->trim, TRIM_DELAY_S, 0.);
		ev_timer_start(loop, &set->trim);
	}
}

/*
 * After a delay, so that the allocator does not give memory back and take it
 * again with each wave of clients.
 */
static void
on_trim(struct ev_loop *loop, struct ev_timer *watcher, int revents)
{
	struct conn_set *set = watcher->data;

	(void)loop;
	(void)revents;
	if (!should_trim(set))
		return;
	pool_trim(set->pool);
	malloc_trim(0);
	set->peak = set->count;
}

static void
arm_report(struct conn_set *set)
{
	ev_timer_set(&set->report, REPORT_S, 0.);
	ev_timer_start(set->loop, &set->report);
}

static void
on_report(struct ev_loop *loop, struct ev_timer *watcher, int revents)
{
	struct conn_set *set = watcher->data;

	(void)loop;
	(void)revents;
	if (rate_limit_report(&set->rate, set->log, set->now_ms))
		arm_report(set);
}

bool
conn_set_may_log(struct conn_set *set, const struct rate_limit_rule *rule,
    enum log_level level, const char *listener, const char *reason)
{
	if (!log_may(set->log, level))
		return false;
	if (rate_limit_may(
		&set->rate, rule, level, listener, reason, set->now_ms))
		return true;
	if (!ev_is_active(&set->report))
		arm_report(set);
	return false;
}

bool
conn_set_init(struct conn_set *set, struct ev_loop *loop, struct log *log,
    uint64_t first_id)
{
	memset(set, 0, sizeof(*set));
	set->loop = loop;
	set->log = log;
	set->next_id = first_id;
	set->now_ms = clock_mono_ms();
	list_init(&set->all);
	list_init(&set->runnable);
	list_init(&set->deferred);
	list_init(&set->unread);
	ev_check_init(&set->check, on_check);
	ev_prepare_init(&set->prepare, on_prepare);
	ev_idle_init(&set->idle, on_idle);
	ev_init(&set->flush, on_flush);
	ev_init(&set->trim, on_trim);
	ev_init(&set->guard, on_guard);
	ev_init(&set->report, on_report);
	set->check.data = set;
	set->prepare.data = set;
	set->flush.data = set;
	set->trim.data = set;
	set->guard.data = set;
	set->report.data = set;
	set->pool = pool_new();
	if (set->pool == NULL)
		return false;
	if (!open_errors(set)) {
		pool_free(set->pool);
		return false;
	}
	/* The time first, then the events; and the queue before the owner's own
	 * prepare watcher, which reads `room`. */
	ev_set_priority(&set->check, EV_MAXPRI);
	ev_set_priority(&set->prepare, EV_MAXPRI);
	/* And a ticket leaves with a response that was received meanwhile. */
	ev_set_priority(&set->flush, EV_MINPRI);
	ev_check_start(loop, &set->check);
	ev_prepare_start(loop, &set->prepare);
	return true;
}

void
conn_set_close_all(struct conn_set *set, enum conn_reason reason)
{
	LIST_FOREACH(&set->all, node)
		conn_close(container_of(node, struct conn, all), reason);
}

void
conn_set_fini(struct conn_set *set)
{
	conn_set_close_all(set, CONN_DRAINED);
	ev_check_stop(set->loop, &set->check);
	ev_prepare_stop(set->loop, &set->prepare);
	ev_idle_stop(set->loop, &set->idle);
	ev_timer_stop(set->loop, &set->flush);
	ev_timer_stop(set->loop, &set->trim);
	ev_timer_stop(set->loop, &set->guard);
	ev_timer_stop(set->loop, &set->report);
	(void)rate_limit_report(&set->rate, set->log, INT64_MAX);
	ev_io_stop(set->loop, &set->errors);
	close(set->errors_fd);
	pool_free(set->pool);
	set->pool = NULL;
}

void
conn_set_add(struct conn *conn)
{
	struct conn_set *set = conn->set;

	list_append(&set->all, &conn->all);
	stats_add_accepted(conn->counts);
	counter_add(&set->count, 1);
	if (set->count > set->peak)
		set->peak = set->count;
}

void
conn_set_remove(struct conn *conn)
{
	struct conn_set *set = conn->set;

	list_remove(&conn->all);
	counter_add(&set->count, -1);
	set->room = true;
}
