/*
 * One connection of the server of responder.h, on a thread that may simply
 * wait.  Every wait is a poll that also watches `stop`.
 */
#include "tests/support/responder_inner.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

#include "base/attr.h"

enum { REQUEST_MAX = 64 * 1024, DRIP_MS = 10 };

bool
responder_wait(int stop, int fd, short events, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = stop, .events = POLLIN },
		{ .fd = fd, .events = events },
	};
	int ready;

	do
		ready = poll(fds, ARRAY_LEN(fds), timeout_ms);
	while (ready < 0 && errno == EINTR);
	return ready > 0 && fds[0].revents == 0;
}

/* ---- Bytes; 0 or less: the client is gone or we must stop ---- */

/* Is it worth another try, after whatever must be waited for? */
static bool
may_retry(struct responder_peer *peer, ssize_t said, short events)
{
	int error;

	if (peer->ssl == NULL)
		return said < 0 && errno == EAGAIN &&
		       responder_wait(peer->stop, peer->fd, events, -1);
	error = SSL_get_error(peer->ssl, (int)said);
	if (error == SSL_ERROR_WANT_READ)
		return responder_wait(peer->stop, peer->fd, POLLIN, -1);
	if (error == SSL_ERROR_WANT_WRITE)
		return responder_wait(peer->stop, peer->fd, POLLOUT, -1);
	return false;
}

static ssize_t
take(struct responder_peer *peer, char *into, size_t max)
{
	ssize_t n;

	do {
		ERR_clear_error();
		n = peer->ssl != NULL ? SSL_read(peer->ssl, into, (int)max)
				      : recv(peer->fd, into, max, 0);
	} while (n <= 0 && may_retry(peer, n, POLLIN));
	return n;
}

static bool
give(struct responder_peer *peer, const char *bytes, size_t len)
{
	ssize_t n = 0;

	for (; len > 0; bytes += n, len -= (size_t)n) {
		do {
			ERR_clear_error();
			n = peer->ssl != NULL
				? SSL_write(peer->ssl, bytes, (int)len)
				: send(peer->fd, bytes, len, MSG_NOSIGNAL);
		} while (n <= 0 && may_retry(peer, n, POLLOUT));
		if (n <= 0)
			return false;
	}
	return true;
}

/* Until the client has closed. */
static void
drain(struct responder_peer *peer)
{
	char bytes[4096];

	while (take(peer, bytes, sizeof(bytes)) > 0)
		;
}

/* ---- A request ---- */

/* How long it is with its body, once its head is there; 0: not yet. */
static size_t
whole_length(const char *request)
{
	static const char name[] = "\nContent-Length:";
	const char *end = strstr(request, "\r\n\r\n");
	const char *length = strcasestr(request, name);

	if (end == NULL)
		return 0;
	end += 4;
	if (length == NULL || length > end)
		return (size_t)(end - request);
	return (size_t)(end - request) +
	       strtoul(length + sizeof(name) - 1, NULL, 10);
}

bool
responder_peer_read(struct responder_peer *peer, struct responder_read *request)
{
	size_t whole = 0;
	ssize_t n = 1;

	request->bytes = malloc(REQUEST_MAX + 1);
	if (request->bytes == NULL)
		return false;
	request->len = 0;
	while ((whole == 0 || request->len < whole) && n > 0) {
		n = take(peer, request->bytes + request->len,
		    REQUEST_MAX - request->len);
		request->len += n > 0 ? (size_t)n : 0;
		request->bytes[request->len] = '\0';
		whole = whole_length(request->bytes);
	}
	if (n <= 0)
		free(request->bytes);
	return n > 0;
}

static bool
drip(struct responder_peer *peer, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		(void)responder_wait(peer->stop, -1, 0, DRIP_MS);
		if (!give(peer, bytes + i, 1))
			return false;
	}
	return true;
}

static bool
send_bytes(struct responder_peer *peer, const struct responder_act *act)
{
	size_t len = act->len != 0 ? act->len : strlen(act->bytes);
	size_t at_once = act->drips ? act->drip_from : len;
	const char *bytes = act->bytes;

	if (!give(peer, bytes, at_once) ||
	    !drip(peer, bytes + at_once, len - at_once))
		return false;
	while (act->end == RESPONDER_REPEATS &&
	       responder_wait(peer->stop, peer->fd, POLLOUT, -1)) {
		if (!give(
			peer, bytes + act->repeat_from, len - act->repeat_from))
			return false;
	}
	return true;
}

void
responder_peer_play(
    struct responder_peer *peer, const struct responder_act *act)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (act->waits && !responder_wait(peer->stop, peer->go, POLLIN, -1))
		return;
	if (!send_bytes(peer, act))
		return;
	if (act->end == RESPONDER_RESETS) {
		(void)setsockopt(
		    peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		return;
	}
	if (act->end == RESPONDER_CLOSES) {
		if (peer->ssl != NULL)
			(void)SSL_shutdown(peer->ssl);
		(void)shutdown(peer->fd, SHUT_WR);
	}
	drain(peer);
}
