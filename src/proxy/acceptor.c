/*
 * Accepting on one listener thread.  Each wake-up accepts a bounded burst, so
 * that new clients do not delay the connections of the thread; the rest wakes
 * the loop again.  A slot is reserved before accept, because an accepted client
 * could only be closed; without a slot, or a descriptor, the watcher pauses and
 * the kernel's queue keeps the clients.
 *
 * keepalive and backlog follow the service, so they are set here and not when
 * the socket is opened: two calls per reload instead of two per client.
 * Clients already in the queue keep the previous values.
 */
#include "proxy/acceptor.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "proxy/conn.h"
#include "proxy/limit.h"
#include "proxy/listener.h"
#include "proxy/service.h"

#define BURST 16
/* Another thread may release a slot, which this one is not notified of. */
#define PAUSE_FULL_S 0.05
/* A handshake takes milliseconds, and its end is not notified. */
#define PAUSE_HANDSHAKES_S 0.005
#define PAUSE_EXHAUSTED_S 0.1

/* For each reason and listener. */
static const struct rate_limit_rule rate = { .lines = 1, .window_ms = 10000 };

struct acceptor {
	struct ev_io watcher;
	struct ev_timer pause; /* active exactly while the watcher is not */

	/* fixed at creation */
	struct listener *listener; /* a reference */
	struct conn_set *set;      /* borrowed from the loop */
	int fd;                    /* the listener's */

	struct service *service; /* a reference */
};

/* The result of one accept. */
enum accept_result {
	ACCEPT_AGAIN,
	ACCEPT_EMPTY,
	ACCEPT_FULL,
	ACCEPT_FULL_HANDSHAKES,
	ACCEPT_EXHAUSTED
};

/* Why clients are not accepted, or are closed. */
struct accept_refusal {
	const char *reason;
	const char *message;
};

static const struct accept_refusal exhausted = { "exhausted", NULL };
static const struct accept_refusal untrusted = { "proxy_trust",
	"client refused: not in proxy_trust" };
static const struct accept_refusal full[] = {
	[LIMIT_FULL_PROCESS] = { "max_connections_process",
	    "accept paused: max_connections of the process reached" },
	[LIMIT_FULL_LISTENER] = { "max_connections",
	    "accept paused: max_connections reached" },
	[LIMIT_FULL_HANDSHAKES] = { "max_handshakes",
	    "accept paused: max_handshakes reached" },
	[LIMIT_FULL_ADDRESS] = { "per_ip_max",
	    "client refused: per_ip_max reached" },
	[LIMIT_DENIED] = { "denied", "client denied by allow/deny list" },
};

/* Write one line, within the rate limit. */
static void
log_refusal(struct acceptor *acceptor, const struct accept_refusal *refusal,
    enum log_level level, const char *message, const struct addr *peer)
{
	struct conn_set *set = acceptor->set;
	const char *name = acceptor->service->listener->name;
	const char *text, *host = NULL;
	char space[2][ADDR_TEXT_MAX];

	if (!conn_set_may_log(set, &rate, level, name, refusal->reason))
		return;
	text = addr_print(
	    listener_address(acceptor->listener), space[0], sizeof(space[0]));
	if (peer != NULL)
		host = addr_print(peer, space[1], sizeof(space[1]));
	LOG_AT(set->log, level, "listener", message, LOG_S("listener", name),
	    LOG_S("address", text), LOG_S("peer", host),
	    LOG_S("reason", refusal->reason));
}

static void
unreserve(struct limit *limit)
{
	limit_handshake_done(limit);
	limit_release(limit);
}

/* accept(2): errors of a client or of the network do not pause accepting. */
static enum accept_result
classify(struct acceptor *acceptor, int errnum)
{
	struct err why;

	switch (errnum) {
	case EAGAIN:
		return ACCEPT_EMPTY;
	case EINVAL: /* another thread of the socket has emptied its queue */
		return ACCEPT_EXHAUSTED;
	case ECONNABORTED:
	case EINTR:
	case EPERM: /* refused by a packet filter */
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case EOPNOTSUPP:
	case ETIMEDOUT:
		return ACCEPT_AGAIN;
	default:
		err_set_errno(&why, errnum, "accept paused");
		log_refusal(
		    acceptor, &exhausted, LEVEL_WARNING, why.text, NULL);
		return ACCEPT_EXHAUSTED;
	}
}

/* Why the client is refused; NULL: it is not.  With proxy_in this checks the
 * sender of PROXY headers; clients are checked after their header. */
static const struct accept_refusal *
check_client(const struct service *service, struct conn_client *client)
{
	const struct config_listener *config = service->listener;
	enum limit_answer answer;

	if (config->proxy_in)
		return limit_trusts(config, &client->peer) ? NULL : &untrusted;
	answer = limit_admit(
	    service->limit, config, &client->peer, &client->counted);
	return answer == LIMIT_OK ? NULL : &full[answer];
}

static void
begin_or_close(struct acceptor *acceptor, struct conn_client *client)
{
	const struct accept_refusal *why = check_client(
	    acceptor->service, client);
	/* An untrusted proxy is probably a misconfiguration. */
	enum log_level level = acceptor->service->listener->proxy_in
				   ? LEVEL_NOTICE
				   : LEVEL_INFO;

	if (why == NULL) {
		conn_new(acceptor->set, acceptor->service, client);
		return;
	}
	close(client->fd);
	unreserve(acceptor->service->limit);
	log_refusal(acceptor, why, level, why->message, &client->peer);
}

static enum accept_result
accept_one(struct acceptor *acceptor)
{
	struct limit *limit = acceptor->service->limit;
	struct conn_client client = { .fd = -1 };
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	enum limit_answer answer;
	int errnum;

	answer = limit_reserve(limit, acceptor->service->listener);
	if (answer != LIMIT_OK) {
		log_refusal(acceptor, &full[answer], LEVEL_WARNING,
		    full[answer].message, NULL);
		return answer == LIMIT_FULL_HANDSHAKES ? ACCEPT_FULL_HANDSHAKES
						       : ACCEPT_FULL;
	}
	client.fd = accept4(acceptor->fd, (struct sockaddr *)&peer, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client.fd < 0) {
		errnum = errno;
		unreserve(limit);
		return classify(acceptor, errnum);
	}
	addr_from_sockaddr(&client.peer, (struct sockaddr *)&peer, len);
	begin_or_close(acceptor, &client);
	return ACCEPT_AGAIN;
}

static enum accept_result
accept_many(struct acceptor *acceptor, unsigned max)
{
	enum accept_result result = ACCEPT_AGAIN;

	while (max-- > 0 && result == ACCEPT_AGAIN)
		result = accept_one(acceptor);
	return result;
}

static void
pause_for(struct acceptor *acceptor, ev_tstamp seconds)
{
	ev_io_stop(acceptor->set->loop, &acceptor->watcher);
	ev_timer_set(&acceptor->pause, seconds, 0.);
	ev_timer_start(acceptor->set->loop, &acceptor->pause);
}

static void
on_client(struct ev_loop *loop, struct ev_io *watcher, int revents)
{
	struct acceptor *acceptor = watcher->data;

	(void)loop;
	(void)revents;
	switch (accept_many(acceptor, BURST)) {
	case ACCEPT_FULL:
		pause_for(acceptor, PAUSE_FULL_S);
		break;
	case ACCEPT_FULL_HANDSHAKES:
		pause_for(acceptor, PAUSE_HANDSHAKES_S);
		break;
	case ACCEPT_EXHAUSTED:
		pause_for(acceptor, PAUSE_EXHAUSTED_S);
		break;
	case ACCEPT_AGAIN:
	case ACCEPT_EMPTY:
		break;
	}
}

static void
on_pause_over(struct ev_loop *loop, struct ev_timer *watcher, int revents)
{
	struct acceptor *acceptor = watcher->data;

	(void)loop;
	(void)revents;
	acceptor_resume(acceptor);
}

static void
tune_socket(struct acceptor *acceptor)
{
	const struct config_listener *config = acceptor->service->listener;
	const struct listener *listener = acceptor->listener;

	if (!addr_is_unix(listener_address(listener)))
		socket_set_keepalive(acceptor->fd, config->keepalive_ms);
	/* A second listen changes the backlog only. */
	if (!listener_is_inherited(listener))
		(void)listen(acceptor->fd, (int)config->backlog);
}

struct acceptor *
acceptor_new(struct listener *listener, unsigned thread,
    struct service *service, struct conn_set *set)
{
	struct acceptor *acceptor = calloc(1, sizeof(*acceptor));

	if (acceptor == NULL)
		return NULL;
	acceptor->listener = listener_ref(listener);
	acceptor->service = service_ref(service);
	acceptor->set = set;
	acceptor->fd = listener_fd(listener, thread);
	tune_socket(acceptor);

	ev_init(&acceptor->pause, on_pause_over);
	acceptor->pause.data = acceptor;
	ev_io_init(&acceptor->watcher, on_client, acceptor->fd, EV_READ);
	acceptor->watcher.data = acceptor;
	ev_io_start(set->loop, &acceptor->watcher);
	return acceptor;
}

void
acceptor_serve(struct acceptor *acceptor, struct service *service)
{
	struct service *old = acceptor->service;

	acceptor->service = service_ref(service);
	service_unref(old);
	tune_socket(acceptor);
	/* The new limits may be higher. */
	acceptor_resume(acceptor);
}

struct listener *
acceptor_listener(const struct acceptor *acceptor)
{
	return acceptor->listener;
}

void
acceptor_resume(struct acceptor *acceptor)
{
	ev_timer_stop(acceptor->set->loop, &acceptor->pause);
	ev_io_start(acceptor->set->loop, &acceptor->watcher);
}

/*
 * Accept the waiting clients, then close the socket for new ones: these are
 * refused at once instead of waiting for a process that will not accept them.
 * At most a full queue, so that a flood of clients cannot block the thread.
 */
static void
empty_queue(struct acceptor *acceptor)
{
	(void)accept_many(acceptor, acceptor->service->listener->backlog + 1);
	if (!listener_is_inherited(acceptor->listener))
		(void)shutdown(acceptor->fd, SHUT_RD);
}

void
acceptor_free(struct acceptor *acceptor, bool empty)
{
	if (acceptor == NULL)
		return;
	ev_timer_stop(acceptor->set->loop, &acceptor->pause);
	ev_io_stop(acceptor->set->loop, &acceptor->watcher);
	if (empty && !listener_is_shared(acceptor->listener))
		empty_queue(acceptor);
	service_unref(acceptor->service);
	listener_unref(acceptor->listener);
	free(acceptor);
}
