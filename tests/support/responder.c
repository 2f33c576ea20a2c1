/*
 * The server of responder.h: a thread that accepts, and one for each
 * connection.  `stop` is an eventfd that once raised stays readable, and every
 * wait watches it, so nothing outlives responder_stop.
 */
#include "tests/support/responder.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/attr.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "tests/support/responder_inner.h"

struct responder {
	/* fixed at creation */
	SSL_CTX *tls;
	int listener;
	unsigned port;
	int stop, go; /* eventfds: readable from then on */
	struct thread acceptor;

	struct mutex lock;

	/* under lock */
	const struct responder_act *acts;
	size_t act_count;
	struct list peers;
	unsigned connections;
	struct responder_read *requests;
	unsigned request_count;
};

struct peer {
	struct list node;
	struct responder *responder;
	struct thread thread;
	struct responder_peer io;
	bool done; /* under lock */
};

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "responder: %s failed: %s\n", what, strerror(errno));
	abort();
}

static void
raise_event(int fd)
{
	uint64_t one = 1;

	must(write(fd, &one, sizeof(one)) == sizeof(one), "an eventfd");
}

/* Takes the request over. */
static void
keep_request(struct responder *responder, const struct responder_read *request)
{
	struct responder_read *more;

	mutex_lock(&responder->lock);
	more = realloc(responder->requests,
	    (responder->request_count + 1) * sizeof(*more));
	must(more != NULL, "realloc");
	responder->requests = more;
	more[responder->request_count++] = *request;
	mutex_unlock(&responder->lock);
}

/* ---- One connection ---- */

static const struct responder_act not_found = {
	.bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
		 "Connection: close\r\n\r\n",
};

/* request NULL: the act that does not wait for one, or NULL. */
static struct responder_act
choose_act(struct responder *responder, const struct responder_read *request)
{
	const char *target = request != NULL ? strchr(request->bytes, ' ')
					     : NULL;
	struct responder_act chosen = not_found;

	mutex_lock(&responder->lock);
	for (size_t i = responder->act_count; i-- > 0;) {
		const struct responder_act *act = &responder->acts[i];

		if (act->unasked != (request == NULL))
			continue;
		if (act->path == NULL ||
		    (target != NULL &&
			strncmp(target + 1, act->path, strlen(act->path)) == 0))
			chosen = *act;
	}
	mutex_unlock(&responder->lock);
	return chosen;
}

static void
serve(struct peer *peer)
{
	struct responder_act act = choose_act(peer->responder, NULL);
	struct responder_read request;

	if (!act.unasked) {
		if (!responder_peer_read(&peer->io, &request))
			return;
		act = choose_act(peer->responder, &request);
		keep_request(peer->responder, &request);
	}
	responder_peer_play(&peer->io, &act);
}

static void
run_peer(void *arg)
{
	struct peer *peer = arg;
	struct responder *responder = peer->responder;

	serve(peer);
	SSL_free(peer->io.ssl);
	ERR_clear_error();
	close(peer->io.fd);
	mutex_lock(&responder->lock);
	peer->done = true;
	mutex_unlock(&responder->lock);
}

/* ---- Accepting ---- */

/* Take a peer out of the list: one that is done, or any.  NULL: none. */
static struct peer *
take_peer(struct responder *responder, bool any)
{
	struct peer *found = NULL;

	mutex_lock(&responder->lock);
	LIST_FOREACH(&responder->peers, node) {
		struct peer *peer = container_of(node, struct peer, node);

		if (found == NULL && (any || peer->done))
			found = peer;
	}
	if (found != NULL)
		list_remove(&found->node);
	mutex_unlock(&responder->lock);
	return found;
}

static void
reap(struct responder *responder, bool any)
{
	struct peer *peer;

	while ((peer = take_peer(responder, any)) != NULL) {
		thread_join(&peer->thread);
		free(peer);
	}
}

static void
welcome(struct responder *responder, int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	must(peer != NULL, "calloc");
	peer->responder = responder;
	peer->io = (struct responder_peer){
		.fd = fd,
		.stop = responder->stop,
		.go = responder->go,
	};
	if (responder->tls != NULL) {
		peer->io.ssl = SSL_new(responder->tls);
		must(peer->io.ssl != NULL && SSL_set_fd(peer->io.ssl, fd) == 1,
		    "SSL_new");
		SSL_set_accept_state(peer->io.ssl);
	}
	mutex_lock(&responder->lock);
	responder->connections++;
	list_append(&responder->peers, &peer->node);
	mutex_unlock(&responder->lock);
	must(thread_start(&peer->thread, "peer", run_peer, peer, NULL),
	    "a thread");
}

static void
run_acceptor(void *arg)
{
	struct responder *responder = arg;

	while (
	    responder_wait(responder->stop, responder->listener, POLLIN, -1)) {
		int fd = accept4(responder->listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			welcome(responder, fd);
		reap(responder, false);
	}
}

static void
start_listening(struct responder *responder)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	socklen_t len = sizeof(address);

	responder->listener = socket(
	    AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(responder->listener >= 0 &&
		 bind(responder->listener, (struct sockaddr *)&address, len) ==
		     0 &&
		 listen(responder->listener, SOMAXCONN) == 0 &&
		 getsockname(responder->listener, (struct sockaddr *)&address,
		     &len) == 0,
	    "listening");
	responder->port = ntohs(address.sin_port);
}

struct responder *
responder_start(SSL_CTX *tls)
{
	struct responder *responder = calloc(1, sizeof(*responder));

	must(responder != NULL, "calloc");
	if (tls != NULL)
		SSL_CTX_up_ref(tls);
	responder->tls = tls;
	responder->stop = eventfd(0, EFD_CLOEXEC);
	responder->go = eventfd(0, EFD_CLOEXEC);
	must(responder->stop >= 0 && responder->go >= 0, "eventfd");
	mutex_init(&responder->lock);
	list_init(&responder->peers);
	start_listening(responder);
	must(thread_start(&responder->acceptor, "responder", run_acceptor,
		 responder, NULL),
	    "a thread");
	return responder;
}

void
responder_stop(struct responder *responder)
{
	if (responder == NULL)
		return;
	raise_event(responder->stop);
	thread_join(&responder->acceptor);
	reap(responder, true);
	close(responder->listener);
	close(responder->stop);
	close(responder->go);
	for (unsigned i = 0; i < responder->request_count; i++)
		free(responder->requests[i].bytes);
	free(responder->requests);
	mutex_fini(&responder->lock);
	SSL_CTX_free(responder->tls);
	free(responder);
}

/* ---- What tests call ---- */

void
responder_play(
    struct responder *responder, const struct responder_act *acts, size_t count)
{
	mutex_lock(&responder->lock);
	responder->acts = acts;
	responder->act_count = count;
	mutex_unlock(&responder->lock);
}

void
responder_release(struct responder *responder)
{
	raise_event(responder->go);
}

unsigned
responder_port(const struct responder *responder)
{
	return responder->port;
}

char *
responder_url(const struct responder *responder, const char *path)
{
	char *url;

	must(asprintf(&url, "%s://127.0.0.1:%u%s",
		 responder->tls != NULL ? "https" : "http", responder->port,
		 path) > 0,
	    "asprintf");
	return url;
}

unsigned
responder_connections(struct responder *responder)
{
	unsigned count;

	mutex_lock(&responder->lock);
	count = responder->connections;
	mutex_unlock(&responder->lock);
	return count;
}

unsigned
responder_requests(struct responder *responder)
{
	unsigned count;

	mutex_lock(&responder->lock);
	count = responder->request_count;
	mutex_unlock(&responder->lock);
	return count;
}

char *
responder_request(struct responder *responder, unsigned n, size_t *len)
{
	char *copy = NULL;

	mutex_lock(&responder->lock);
	if (n < responder->request_count) {
		*len = responder->requests[n].len;
		copy = malloc(*len + 1);
		must(copy != NULL, "malloc");
		memcpy(copy, responder->requests[n].bytes, *len + 1);
	}
	mutex_unlock(&responder->lock);
	return copy;
}
