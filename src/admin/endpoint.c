/*
 * The admin endpoint.  Its own thread, with an event loop of its own; the main
 * thread sends it sockets, pongs and results of reloads under one lock.
 *
 * Every answer is made on this thread from what any thread may read, so that
 * neither a listener thread nor the main thread does any work for a scrape.  The
 * exceptions are answers that depend on the main thread, and wait for it:
 * /health (does its loop turn?), POST /reload and /upgrade.  After an upgrade the
 * process may end at once, so that the end of the thread waits for answers that
 * are being sent.  A connection has one request;
 * HTTP keep-alive would save a scraper nothing.
 */
#include "admin/endpoint.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/metrics.h"
#include "admin/overview.h"
#include "admin/page.h"
#include "admin/request.h"
#include "admin/status.h"
#include "base/addr.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "proxy/listener.h"

enum { CONNECTIONS_MAX = 16, HEAD_MAX = 512 };

#define REQUEST_S 10.0   /* for the request, and for each part of the answer */
#define HEALTH_S 3.0     /* for a turn of the main loop */
#define PAUSE_S 1.0      /* while there is no descriptor or memory */
#define RELOAD_S 600.0   /* longer than any start_wait of use */
#define UPGRADE_S 7200.0 /* longer than a reload and upgrade_timeout */
#define LINGER_S 1.0     /* for answers, at the end of the thread */

/* One listening socket. */
struct door {
	struct list all;
	struct listener *listener; /* a reference */
	bool is_unix;
	struct ev_io io;
	struct endpoint *endpoint;
};

/* What a connection waits for. */
enum wait { WAIT_REQUEST, WAIT_PONG, WAIT_RELOAD, WAIT_UPGRADE, WAIT_WRITE };

/* How a reload or upgrade has ended. */
struct verdict {
	uint64_t number; /* of the last one */
	bool fine;
	char *text; /* NULL: none */
};

struct exchange {
	struct list all;
	struct endpoint *endpoint;
	int fd;
	bool is_unix;
	enum wait wait;
	uint64_t awaited; /* the number of the pong, reload or upgrade */
	struct ev_io io;
	struct ev_timer timer;
	size_t in_len;
	char in[REQUEST_HEAD_MAX];
	char head[HEAD_MAX];
	size_t head_len;
	const char *body;
	char *owned; /* the same, if it is to be freed */
	size_t body_len;
	size_t sent; /* of head and body */
};

struct endpoint {
	/* fixed at creation */
	struct endpoint_calls calls;
	void *arg;
	struct log *log;
	struct ev_loop *ev;
	struct ev_async wake;
	struct ev_timer pause;  /* of the doors, after accept has failed */
	struct ev_timer linger; /* active while the thread ends */

	/* main thread only */
	struct thread thread;

	/* this thread only */
	struct list doors;
	struct list left; /* doors, until the next wake-up */
	struct list exchanges;
	size_t exchange_count;

	struct mutex lock;
	/* under lock */
	bool stop;
	struct list arriving; /* doors; with `replace` */
	bool replace;
	uint64_t pongs;
	struct verdict reload;
	struct verdict upgrade;
};

/* ---- Answers ---- */

static const char *
phrase_of(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 202:
		return "Accepted";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 413:
		return "Content Too Large";
	case 431:
		return "Request Header Fields Too Large";
	default:
		return "Service Unavailable";
	}
}

static void on_io(struct ev_loop *ev, struct ev_io *watcher, int events);

static void
wait_for(struct exchange *exchange, enum wait wait, int events, double seconds)
{
	struct ev_loop *ev = exchange->endpoint->ev;

	exchange->wait = wait;
	ev_io_stop(ev, &exchange->io);
	ev_io_set(&exchange->io, exchange->fd, events);
	if (events != 0)
		ev_io_start(ev, &exchange->io);
	ev_timer_stop(ev, &exchange->timer);
	ev_now_update(ev);
	ev_timer_set(&exchange->timer, seconds, 0.0);
	ev_timer_start(ev, &exchange->timer);
}

/* The page has inline style and script, and fetches "status"; nothing else may
 * be loaded, nor the page framed. */
#define HEADERS                                                       \
	"Connection: close\r\n"                                       \
	"Cache-Control: no-store\r\n"                                 \
	"X-Content-Type-Options: nosniff\r\n"                         \
	"Content-Security-Policy: default-src 'none'; "               \
	"style-src 'unsafe-inline'; script-src 'unsafe-inline'; "     \
	"img-src data:; connect-src 'self'; frame-ancestors 'none'; " \
	"base-uri 'none'; form-action 'none'\r\n"

/* Begin to send a constant body; NULL: no memory. */
static void
respond_constant(struct exchange *exchange, int status, const char *type,
    const char *body, size_t len)
{
	if (body == NULL) {
		status = 503;
		len = 0;
	}
	exchange->body = body;
	exchange->body_len = len;
	exchange->head_len = (size_t)snprintf(exchange->head, HEAD_MAX,
	    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
	    "%s" HEADERS "\r\n",
	    status, phrase_of(status), type, len,
	    status == 405 ? "Allow: GET\r\n" : "");
	exchange->sent = 0;
	wait_for(exchange, WAIT_WRITE, EV_WRITE, REQUEST_S);
}

/* The same with a body that is taken. */
static void
respond(struct exchange *exchange, int status, const char *type, char *body,
    size_t len)
{
	exchange->owned = body;
	respond_constant(exchange, status, type, body, len);
}

#define TEXT "text/plain; charset=utf-8"

/* Copies `text`. */
static void
respond_text(struct exchange *exchange, int status, const char *text)
{
	respond(exchange, status, TEXT, strdup(text), strlen(text));
}

static void
respond_ready(struct exchange *exchange, const struct overview *overview)
{
	char *text = NULL;
	size_t len, i;
	FILE *out;

	if (overview->ready) {
		respond_text(exchange, 200, "ready\n");
		return;
	}
	out = open_memstream(&text, &len);
	for (i = 0; out && i < overview->reason_count; i++)
		fprintf(out, "%s\n", overview->reasons[i]);
	if (out)
		fclose(out);
	respond(exchange, 503, TEXT, text, text ? len : 0);
}

static void
respond_overview(struct exchange *exchange, const char *path)
{
	struct endpoint *endpoint = exchange->endpoint;
	struct overview *overview = endpoint->calls.collect(endpoint->arg);
	char *text;
	size_t len;

	if (overview == NULL) {
		respond_text(exchange, 503, "out of memory\n");
	} else if (strcmp(path, "/ready") == 0) {
		respond_ready(exchange, overview);
	} else if (strcmp(path, "/metrics") == 0) {
		text = metrics_print(overview, &len);
		respond(exchange, 200,
		    "text/plain; version=0.0.4; charset=utf-8", text, len);
	} else {
		text = status_print(overview, &len);
		respond(exchange, 200, "application/json", text, len);
	}
	overview_free(overview);
}

/* ---- Answers that wait for the main thread ---- */

static void
begin_health(struct exchange *exchange)
{
	struct endpoint *endpoint = exchange->endpoint;

	mutex_lock(&endpoint->lock);
	exchange->awaited = endpoint->pongs + 1;
	mutex_unlock(&endpoint->lock);
	wait_for(exchange, WAIT_PONG, 0, HEALTH_S);
	endpoint->calls.ping(endpoint->arg);
}

static void
begin_reload(struct exchange *exchange)
{
	struct endpoint *endpoint = exchange->endpoint;

	exchange->awaited = endpoint->calls.reload(endpoint->arg);
	if (exchange->awaited == 0)
		respond_text(exchange, 503, "the process ends\n");
	else
		wait_for(exchange, WAIT_RELOAD, 0, RELOAD_S);
}

static void
begin_upgrade(struct exchange *exchange)
{
	struct endpoint *endpoint = exchange->endpoint;
	bool is_running;

	exchange->awaited = endpoint->calls.upgrade(endpoint->arg, &is_running);
	if (exchange->awaited > 0)
		wait_for(exchange, WAIT_UPGRADE, 0, UPGRADE_S);
	else if (is_running)
		respond_text(exchange, 409, "another upgrade is under way\n");
	else
		respond_text(exchange, 503, "the process ends\n");
}

static void
respond_refresh(struct exchange *exchange, const char *certificate)
{
	struct endpoint *endpoint = exchange->endpoint;
	size_t count = endpoint->calls.refresh(endpoint->arg, certificate);
	char text[64];

	if (count == 0) {
		respond_text(exchange, 404,
		    certificate[0] ? "no stapled certificate has this name or "
				     "id\n"
				   : "no certificate is stapled\n");
		return;
	}
	snprintf(text, sizeof(text), "{\"certificates\": %zu}\n", count);
	respond(exchange, 202, "application/json", strdup(text), strlen(text));
}

static struct verdict
copy_verdict(const struct verdict *verdict)
{
	struct verdict copy = *verdict;

	copy.text = copy.text ? strdup(copy.text) : NULL;
	return copy;
}

/* Answer if the verdict has come. */
static void
finish_one(struct exchange *exchange, const struct verdict *verdict,
    const char *fine, const char *failed)
{
	const char *otherwise = verdict->fine ? fine : failed;

	if (verdict->number >= exchange->awaited)
		respond_text(exchange, verdict->fine ? 200 : 409,
		    verdict->text ? verdict->text : otherwise);
}

/* The main thread has sent something: the exchanges that waited for it. */
static void
finish_waiting(struct endpoint *endpoint)
{
	struct verdict reload, upgrade;
	uint64_t pongs;

	mutex_lock(&endpoint->lock);
	pongs = endpoint->pongs;
	reload = copy_verdict(&endpoint->reload);
	upgrade = copy_verdict(&endpoint->upgrade);
	mutex_unlock(&endpoint->lock);
	LIST_FOREACH(&endpoint->exchanges, node) {
		struct exchange *exchange = container_of(
		    node, struct exchange, all);

		if (exchange->wait == WAIT_PONG && pongs >= exchange->awaited)
			respond_text(exchange, 200, "ok\n");
		else if (exchange->wait == WAIT_RELOAD)
			finish_one(exchange, &reload, "reloaded\n",
			    "reload refused\n");
		else if (exchange->wait == WAIT_UPGRADE)
			finish_one(exchange, &upgrade, "upgraded\n",
			    "upgrade failed\n");
	}
	free(reload.text);
	free(upgrade.text);
}

/* ---- Requests ---- */

static void
get(struct exchange *exchange, const char *path)
{
	if (strcmp(path, "/health") == 0)
		begin_health(exchange);
	else if (strcmp(path, "/ready") == 0 || strcmp(path, "/status") == 0 ||
		 strcmp(path, "/metrics") == 0)
		respond_overview(exchange, path);
	else if (strcmp(path, "/") == 0)
		respond_constant(exchange, 200, "text/html; charset=utf-8",
		    page_text(), page_len());
	else
		respond_text(exchange, 404,
		    "/, /health, /ready, /status and /metrics are here\n");
}

/* Only over a Unix socket, where the mode of its file is the permission. */
static void
post(struct exchange *exchange, const struct request *request)
{
	if (!exchange->is_unix)
		respond_text(exchange, 405,
		    "POST is accepted over a Unix socket alone\n");
	else if (strcmp(request->path, "/reload") == 0)
		begin_reload(exchange);
	else if (strcmp(request->path, "/refresh") == 0)
		respond_refresh(exchange, request->certificate);
	else if (strcmp(request->path, "/upgrade") == 0)
		begin_upgrade(exchange);
	else
		respond_text(exchange, 404,
		    "POST is for /reload, /refresh and /upgrade\n");
}

static void
handle(struct exchange *exchange)
{
	struct request request;

	switch (request_parse(exchange->in, exchange->in_len, &request)) {
	case REQUEST_MORE:
		return;
	case REQUEST_BAD:
		respond_text(exchange, 400, "not an HTTP/1.1 request\n");
		return;
	case REQUEST_TOO_LARGE:
		respond_text(exchange, 431, "more than 8 KiB of headers\n");
		return;
	case REQUEST_HAS_BODY:
		respond_text(exchange, 413, "requests have no body here\n");
		return;
	case REQUEST_DONE:
		break;
	}
	if (request.method == REQUEST_GET)
		get(exchange, request.path);
	else if (request.method == REQUEST_POST)
		post(exchange, &request);
	else
		respond_text(exchange, 405, "GET is the only method\n");
}

/* ---- Connections ---- */

static void pause_doors(struct endpoint *endpoint, bool pause);
static void end_if_silent(struct endpoint *endpoint);

static void
end_exchange(struct exchange *exchange)
{
	struct endpoint *endpoint = exchange->endpoint;

	ev_io_stop(endpoint->ev, &exchange->io);
	ev_timer_stop(endpoint->ev, &exchange->timer);
	list_remove(&exchange->all);
	close(exchange->fd);
	free(exchange->owned);
	free(exchange);
	if (endpoint->exchange_count-- == CONNECTIONS_MAX)
		pause_doors(endpoint, false);
	end_if_silent(endpoint);
}

static void
receive(struct exchange *exchange)
{
	ssize_t n = recv(exchange->fd, exchange->in + exchange->in_len,
	    sizeof(exchange->in) - exchange->in_len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_exchange(exchange);
		return;
	}
	exchange->in_len += (size_t)n;
	handle(exchange);
}

/* The peer gets a FIN and may close first: bytes of a request that were not read
 * would turn a close into a reset. */
static void
transmit(struct exchange *exchange)
{
	size_t total = exchange->head_len + exchange->body_len;
	const char *from = exchange->head + exchange->sent;
	size_t len = exchange->head_len - exchange->sent;
	ssize_t n;

	if (exchange->sent == total) {
		if (recv(exchange->fd, exchange->in, sizeof(exchange->in), 0) <=
		    0)
			end_exchange(exchange);
		return;
	}
	if (exchange->sent >= exchange->head_len) {
		from = exchange->body + exchange->sent - exchange->head_len;
		len = total - exchange->sent;
	}
	n = send(exchange->fd, from, len, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end_exchange(exchange);
		return;
	}
	exchange->sent += (size_t)n;
	if (exchange->sent == total) {
		shutdown(exchange->fd, SHUT_WR);
		wait_for(exchange, WAIT_WRITE, EV_READ, REQUEST_S);
		end_if_silent(exchange->endpoint);
	} else {
		wait_for(exchange, WAIT_WRITE, EV_WRITE, REQUEST_S);
	}
}

static void
on_io(struct ev_loop *ev, struct ev_io *watcher, int events)
{
	struct exchange *exchange = watcher->data;

	(void)ev;
	(void)events;
	if (exchange->wait == WAIT_REQUEST)
		receive(exchange);
	else
		transmit(exchange);
}

static void
on_timeout(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct exchange *exchange = watcher->data;

	(void)ev;
	(void)events;
	if (exchange->wait == WAIT_PONG)
		respond_text(exchange, 503, "the main loop does not turn\n");
	else if (exchange->wait == WAIT_RELOAD)
		respond_text(exchange, 503, "the reload is not decided yet\n");
	else if (exchange->wait == WAIT_UPGRADE)
		respond_text(exchange, 503, "the upgrade is not decided yet\n");
	else if (exchange->wait == WAIT_REQUEST && exchange->in_len > 0)
		respond_text(exchange, 408, "no complete request in time\n");
	else
		end_exchange(exchange);
}

static void
begin_exchange(struct door *door, int fd)
{
	struct endpoint *endpoint = door->endpoint;
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (exchange == NULL) {
		close(fd);
		return;
	}
	exchange->endpoint = endpoint;
	exchange->fd = fd;
	exchange->is_unix = door->is_unix;
	ev_io_init(&exchange->io, on_io, fd, EV_READ);
	exchange->io.data = exchange;
	ev_timer_init(&exchange->timer, on_timeout, REQUEST_S, 0.0);
	exchange->timer.data = exchange;
	list_append(&endpoint->exchanges, &exchange->all);
	endpoint->exchange_count++;
	wait_for(exchange, WAIT_REQUEST, EV_READ, REQUEST_S);
}

/* Make room: end the oldest connection without a complete request.  false: all
 * have one. */
static bool
end_oldest(struct endpoint *endpoint)
{
	LIST_FOREACH(&endpoint->exchanges, node) {
		struct exchange *exchange = container_of(
		    node, struct exchange, all);

		if (exchange->wait != WAIT_REQUEST)
			continue;
		end_exchange(exchange);
		return true;
	}
	return false;
}

static void
on_client(struct ev_loop *ev, struct ev_io *watcher, int events)
{
	struct door *door = watcher->data;
	struct endpoint *endpoint = door->endpoint;
	int fd;

	(void)events;
	if (endpoint->exchange_count >= CONNECTIONS_MAX &&
	    !end_oldest(endpoint)) {
		pause_doors(endpoint, true);
		return;
	}
	fd = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		begin_exchange(door, fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		   errno == ENOMEM) {
		/* The socket stays readable: wait, or this would spin. */
		pause_doors(endpoint, true);
		ev_timer_set(&endpoint->pause, PAUSE_S, 0.0);
		ev_timer_start(ev, &endpoint->pause);
	}
}

static void
on_pause_end(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	(void)ev;
	(void)events;
	pause_doors(watcher->data, false);
}

/* While all connections have a request, further clients wait in the kernel. */
static void
pause_doors(struct endpoint *endpoint, bool pause)
{
	LIST_FOREACH(&endpoint->doors, node) {
		struct door *door = container_of(node, struct door, all);

		if (pause)
			ev_io_stop(endpoint->ev, &door->io);
		else
			ev_io_start(endpoint->ev, &door->io);
	}
}

/* ---- Doors ---- */

static void
free_doors(struct list *doors)
{
	LIST_FOREACH(doors, node) {
		struct door *door = container_of(node, struct door, all);

		list_remove(&door->all);
		ev_io_stop(door->endpoint->ev, &door->io);
		listener_unref(door->listener);
		free(door);
	}
}

/* Main thread. */
static bool
add_door(
    struct list *doors, struct endpoint *endpoint, struct listener *listener)
{
	struct door *door = calloc(1, sizeof(*door));

	if (door == NULL)
		return false;
	door->endpoint = endpoint;
	door->listener = listener_ref(listener);
	door->is_unix = addr_is_unix(listener_address(listener));
	ev_io_init(&door->io, on_client, listener_fd(listener, 0), EV_READ);
	door->io.data = door;
	list_append(doors, &door->all);
	return true;
}

/* Main thread.  Empties the list. */
static void
send_doors(struct endpoint *endpoint, struct list *doors)
{
	struct list skipped;

	list_init(&skipped);
	mutex_lock(&endpoint->lock);
	list_splice(&skipped, &endpoint->arriving);
	list_splice(&endpoint->arriving, doors);
	endpoint->replace = true;
	mutex_unlock(&endpoint->lock);
	free_doors(&skipped); /* never started */
	ev_async_send(endpoint->ev, &endpoint->wake);
}

bool
endpoint_serve(
    struct endpoint *endpoint, struct listener *const *listeners, size_t count)
{
	struct list doors;
	size_t i;

	list_init(&doors);
	for (i = 0; i < count; i++)
		if (!add_door(&doors, endpoint, listeners[i])) {
			free_doors(&doors);
			return false;
		}
	send_doors(endpoint, &doors);
	return true;
}

void
endpoint_leave(struct endpoint *endpoint)
{
	struct list none;

	list_init(&none);
	send_doors(endpoint, &none);
}

/* A socket that is open in another process, too, stays in the kernel's set of
 * the loop when it is closed: the loop gets a new set before. */
static void
leave_doors(struct endpoint *endpoint)
{
	bool outlives = false;

	LIST_FOREACH(&endpoint->doors, node) {
		struct door *door = container_of(node, struct door, all);

		ev_io_stop(endpoint->ev, &door->io);
		outlives |= listener_is_open_elsewhere(door->listener);
	}
	list_splice(&endpoint->left, &endpoint->doors);
	if (outlives) {
		ev_loop_fork(endpoint->ev);
		ev_async_send(endpoint->ev, &endpoint->wake);
	} else {
		free_doors(&endpoint->left);
	}
}

static void
replace_doors(struct endpoint *endpoint)
{
	struct list doors;
	bool replace;

	free_doors(&endpoint->left);
	list_init(&doors);
	mutex_lock(&endpoint->lock);
	replace = endpoint->replace;
	endpoint->replace = false;
	list_splice(&doors, &endpoint->arriving);
	mutex_unlock(&endpoint->lock);
	if (!replace)
		return;
	leave_doors(endpoint);
	list_splice(&endpoint->doors, &doors);
	pause_doors(endpoint, false);
}

/* ---- The thread ---- */

static bool
is_answering(struct endpoint *endpoint)
{
	LIST_FOREACH(&endpoint->exchanges, node) {
		const struct exchange *exchange = container_of(
		    node, struct exchange, all);

		if (exchange->wait == WAIT_WRITE &&
		    exchange->sent < exchange->head_len + exchange->body_len)
			return true;
	}
	return false;
}

/* The end of the thread waits for answers. */
static void
end_if_silent(struct endpoint *endpoint)
{
	if (ev_is_active(&endpoint->linger) && !is_answering(endpoint))
		ev_break(endpoint->ev, EVBREAK_ALL);
}

static void
on_linger_end(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(ev, EVBREAK_ALL);
}

static void
on_wake(struct ev_loop *ev, struct ev_async *watcher, int events)
{
	struct endpoint *endpoint = watcher->data;
	bool stop;

	(void)events;
	mutex_lock(&endpoint->lock);
	stop = endpoint->stop;
	mutex_unlock(&endpoint->lock);
	replace_doors(endpoint);
	finish_waiting(endpoint);
	if (!stop)
		return;
	free_doors(&endpoint->doors);
	ev_now_update(ev);
	ev_timer_start(ev, &endpoint->linger);
	end_if_silent(endpoint);
}

static void
run(void *arg)
{
	struct endpoint *endpoint = arg;

	ev_run(endpoint->ev, 0);
}

static void
free_endpoint(struct endpoint *endpoint)
{
	ev_timer_stop(endpoint->ev, &endpoint->linger);
	LIST_FOREACH(&endpoint->exchanges, node) {
		end_exchange(container_of(node, struct exchange, all));
	}
	free_doors(&endpoint->doors);
	free_doors(&endpoint->left);
	free_doors(&endpoint->arriving);
	if (endpoint->ev)
		ev_loop_destroy(endpoint->ev);
	mutex_fini(&endpoint->lock);
	free(endpoint->reload.text);
	free(endpoint->upgrade.text);
	free(endpoint);
}

struct endpoint *
endpoint_start(const struct endpoint_calls *calls, void *arg, struct log *log,
    struct err *err)
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (endpoint == NULL) {
		err_set(err, "out of memory for the admin endpoint");
		return NULL;
	}
	endpoint->calls = *calls;
	endpoint->arg = arg;
	endpoint->log = log;
	mutex_init(&endpoint->lock);
	list_init(&endpoint->doors);
	list_init(&endpoint->left);
	list_init(&endpoint->exchanges);
	list_init(&endpoint->arriving);
	/* Signals belong to the main thread. */
	endpoint->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOSIGMASK);
	if (endpoint->ev == NULL) {
		err_set(err, "out of memory for the admin endpoint");
		goto fail;
	}
	ev_timer_init(&endpoint->pause, on_pause_end, PAUSE_S, 0.0);
	endpoint->pause.data = endpoint;
	ev_timer_init(&endpoint->linger, on_linger_end, LINGER_S, 0.0);
	ev_async_init(&endpoint->wake, on_wake);
	endpoint->wake.data = endpoint;
	ev_async_start(endpoint->ev, &endpoint->wake);
	if (thread_start(&endpoint->thread, "admin", run, endpoint, err))
		return endpoint;
fail:
	free_endpoint(endpoint);
	return NULL;
}

void
endpoint_pong(struct endpoint *endpoint)
{
	if (endpoint == NULL)
		return;
	mutex_lock(&endpoint->lock);
	endpoint->pongs++;
	mutex_unlock(&endpoint->lock);
	ev_async_send(endpoint->ev, &endpoint->wake);
}

/* Takes the text of `fresh`. */
static void
replace_verdict(struct endpoint *endpoint, struct verdict *verdict,
    const struct verdict *fresh)
{
	char *old;

	mutex_lock(&endpoint->lock);
	old = verdict->text;
	*verdict = *fresh;
	mutex_unlock(&endpoint->lock);
	free(old);
	ev_async_send(endpoint->ev, &endpoint->wake);
}

void
endpoint_reloaded(struct endpoint *endpoint, uint64_t number, bool adopted,
    const char *errors)
{
	struct verdict fresh = { .number = number, .fine = adopted };

	if (endpoint == NULL)
		return;
	if (!adopted && errors && errors[0])
		fresh.text = strdup(errors);
	replace_verdict(endpoint, &endpoint->reload, &fresh);
}

void
endpoint_upgraded(struct endpoint *endpoint, uint64_t number, bool succeeded,
    const char *text)
{
	const struct verdict fresh = { number, succeeded, strdup(text) };

	if (endpoint == NULL)
		free(fresh.text);
	else
		replace_verdict(endpoint, &endpoint->upgrade, &fresh);
}

void
endpoint_stop(struct endpoint *endpoint)
{
	if (endpoint == NULL)
		return;
	mutex_lock(&endpoint->lock);
	endpoint->stop = true;
	mutex_unlock(&endpoint->lock);
	ev_async_send(endpoint->ev, &endpoint->wake);
	thread_join(&endpoint->thread);
	free_endpoint(endpoint);
}
