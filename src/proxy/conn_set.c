/*
 * What the connections of one listener thread share: their list, the queue of
 * those that go on without an event, the held tickets, the error set, and
 * giving memory back when a crowd has gone.
 *
 * The queue is run once per turn of the loop, before it would wait, and each
 * connection on it gets one turn; an idle watcher exists only so that the
 * loop does not wait while somebody is queued.
 *
 * The error set is an epoll descriptor inside the loop.  libev watches for
 * reading and writing alone, and a level-triggered watcher for input that must
 * not be read yet would spin.  So a client that is watched for neither joins
 * the error set, edge-triggered and without events: epoll reports EPOLLERR and
 * EPOLLHUP in any case.  It joins GUARD_MS later, because an upload that is
 * held back for a moment only should cost no system call.
 */
#include "proxy/conn.h"

#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "proxy/conn_inner.h"

/*
 * A ticket waits this long for the first response to leave with.  Half of
 * what TCP waits to acknowledge, and enough for a backend to be connected and
 * to answer while a turn full of handshakes is in between.
 */
#define HOLD_MS 20

/* A dead client is noticed after this much at the latest. */
#define GUARD_MS 500
#define ERRORS_PER_TURN 64

/* How often suppressed lines are looked at, while there are some. */
#define REPORT_S 1.0

/* Below this a crowd's memory is not worth a trim. */
#define CROWD 256
#define SETTLE_S 1.0

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
run_queue(struct conn_set *set)
{
	struct list turn;

	/* Those that queue up again run after the next look at the events. */
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

static bool
crowd_has_gone(const struct conn_set *set)
{
	return set->peak > CROWD && set->count < set->peak / 4;
}

static void
on_prepare(struct ev_loop *loop, struct ev_prepare *watcher, int revents)
{
	struct conn_set *set = watcher->data;

	(void)revents;
	run_queue(set);
	if (crowd_has_gone(set) && !ev_is_active(&set->settle)) {
		ev_timer_set(&set->settle, SETTLE_S, 0.);
		ev_timer_start(loop, &set->settle);
	}
}

/*
 * Looked at again a second later, so that waves of clients do not make the
 * allocator give back and ask again with each wave.
 */
static void
on_settle(struct ev_loop *loop, struct ev_timer *watcher, int revents)
{
	struct conn_set *set = watcher->data;

	(void)loop;
	(void)revents;
	if (!crowd_has_gone(set))
		return;
	pool_trim(set->pool);
	malloc_trim(0);
	set->peak = set->count;
}

static void
arm_flush(struct conn_set *set)
{
	struct conn *first = container_of(set->held.next, struct conn, held);
	int64_t wait_ms = first->held_ms - set->now_ms;

	ev_timer_set(
	    &set->flush, (ev_tstamp)(wait_ms > 1 ? wait_ms : 1) / 1e3, 0.);
	ev_timer_start(set->loop, &set->flush);
}

static void
on_flush(struct ev_loop *loop, struct ev_timer *watcher, int revents)
{
	struct conn_set *set = watcher->data;

	(void)loop;
	(void)revents;
	while (!list_is_empty(&set->held)) {
		struct conn *conn = container_of(
		    set->held.next, struct conn, held);

		if (conn->held_ms > set->now_ms) {
			arm_flush(set);
			return;
		}
		list_remove(&conn->held);
		/* A failure shows again in the next step. */
		(void)stream_flush(&conn->client);
		conn_advance(conn);
	}
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

static void
arm_guard(struct conn_set *set)
{
	struct conn *first = container_of(
	    set->unread.next, struct conn, unread);
	int64_t wait_ms = first->guard_ms - set->now_ms;

	ev_timer_set(
	    &set->guard, (ev_tstamp)(wait_ms > 1 ? wait_ms : 1) / 1e3, 0.);
	ev_timer_start(set->loop, &set->guard);
}

/* Without memory in the kernel its deadline is all that ends the client. */
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
	list_init(&set->held);
	list_init(&set->unread);
	ev_check_init(&set->check, on_check);
	ev_prepare_init(&set->prepare, on_prepare);
	ev_idle_init(&set->idle, on_idle);
	ev_init(&set->flush, on_flush);
	ev_init(&set->settle, on_settle);
	ev_init(&set->guard, on_guard);
	ev_init(&set->report, on_report);
	set->check.data = set;
	set->prepare.data = set;
	set->flush.data = set;
	set->settle.data = set;
	set->guard.data = set;
	set->report.data = set;
	set->pool = pool_new();
	if (set->pool == NULL)
		return false;
	if (!open_errors(set)) {
		pool_free(set->pool);
		return false;
	}
	/* The time first, then whatever happened; and the queue before the
	 * owner's own look at who has ended. */
	ev_set_priority(&set->check, EV_MAXPRI);
	ev_set_priority(&set->prepare, EV_MAXPRI);
	/* And a response that has come takes its ticket along first. */
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
	ev_timer_stop(set->loop, &set->settle);
	ev_timer_stop(set->loop, &set->guard);
	ev_timer_stop(set->loop, &set->report);
	(void)rate_limit_report(&set->rate, set->log, INT64_MAX);
	ev_io_stop(set->loop, &set->errors);
	close(set->errors_fd);
	pool_free(set->pool);
	set->pool = NULL;
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

/*
 * All wait equally long, so the list is in the order of the deadlines and one
 * timer serves it: a handshake costs no timer of its own.
 */
void
conn_set_hold(struct conn *conn)
{
	struct conn_set *set = conn->set;

	conn->held_ms = set->now_ms + HOLD_MS;
	list_append(&set->held, &conn->held);
	if (!ev_is_active(&set->flush))
		arm_flush(set);
}

/* All wait equally long here, too. */
void
conn_set_guard(struct conn *conn)
{
	struct conn_set *set = conn->set;

	if (conn->guarded || !list_is_empty(&conn->unread))
		return;
	conn->guard_ms = set->now_ms + GUARD_MS;
	list_append(&set->unread, &conn->unread);
	if (!ev_is_active(&set->guard))
		arm_guard(set);
}

void
conn_set_unguard(struct conn *conn)
{
	list_remove(&conn->unread);
	if (!conn->guarded)
		return;
	conn->guarded = false;
	(void)epoll_ctl(
	    conn->set->errors_fd, EPOLL_CTL_DEL, conn->client.fd, NULL);
}

void
conn_set_add(struct conn *conn)
{
	struct conn_set *set = conn->set;

	list_append(&set->all, &conn->all);
	counter_add(&set->accepted, 1);
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
