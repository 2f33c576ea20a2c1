/*
 * One TLS client of the load generator: connect, handshake, read, write,
 * close.  The hard decision: level-triggered interest and no read-ahead, so
 * that nothing ever waits inside the SSL object without an event to come.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

static void
fail(struct client *c, const char *doing)
{
	unsigned long e = ERR_get_error();
	const char *why = e ? ERR_reason_error_string(e) : strerror(errno);
	struct load *l = c->load;

	if (!l->count.errors++)
		snprintf(l->why, sizeof l->why, "%s: %s", doing,
		    why ? why : "unknown");
	ERR_clear_error();
}

void
client_want(struct client *c, uint32_t interest)
{
	struct epoll_event ev = { .events = interest, .data.ptr = c };
	int op = c->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (c->interest == interest)
		return;
	if (epoll_ctl(c->load->epoll, op, c->fd, &ev) == 0)
		c->interest = interest;
}

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

SSL_CTX *
client_context(const struct options *o)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char groups[128];

	if (!ctx)
		return NULL;
	/* TLS 1.2 with an ECDSA certificate needs P-256 to be offered. */
	snprintf(groups, sizeof groups, "%s%s", o->group,
	    o->tls == TLS1_2_VERSION ? ":P-256" : "");
	if (!SSL_CTX_set_min_proto_version(ctx, o->tls) ||
	    !SSL_CTX_set_max_proto_version(ctx, o->tls) ||
	    !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") ||
	    !SSL_CTX_set_cipher_list(ctx,
		"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256") ||
	    !SSL_CTX_set1_groups_list(ctx, groups)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (o->status)
		SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp);
	if (o->resume) {
		SSL_CTX_set_session_cache_mode(
		    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(ctx, keep_session);
	} else {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	}
	return ctx;
}

static bool
parse_address(const char *text, struct sockaddr_in *to)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : sizeof host;

	if (len >= sizeof host)
		return false;
	memcpy(host, text, len);
	host[len] = 0;
	*to = (struct sockaddr_in){ .sin_family = AF_INET };
	to->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	return inet_pton(AF_INET, host, &to->sin_addr) == 1;
}

static int
connect_socket(const char *text)
{
	struct sockaddr_in to;
	int one = 1;
	int fd;

	if (!parse_address(text, &to))
		return -1;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

void
client_open(struct client *c)
{
	c->interest = 0;
	c->ready = false;
	c->to_read = c->to_write = 0;
	c->fd = connect_socket(c->load->options.connect);
	if (c->fd < 0) {
		fail(c, "connect");
		return;
	}
	c->ssl = SSL_new(c->load->ctx);
	if (!c->ssl || !SSL_set_fd(c->ssl, c->fd)) {
		fail(c, "SSL_new");
		client_close(c);
		return;
	}
	SSL_set_app_data(c->ssl, c);
	SSL_set_connect_state(c->ssl);
	if (c->session)
		SSL_set_session(c->ssl, c->session);
	client_want(c, EPOLLOUT);
}

void
client_close(struct client *c)
{
	if (c->settled)
		c->load->count.open--;
	c->settled = false;
	if (c->ssl) {
		/* Also keeps the session good for resumption. */
		if (c->ready)
			SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
		c->ssl = NULL;
	}
	ERR_clear_error();
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* WANT_READ and WANT_WRITE become an interest, all else a failure. */
static enum step
wait_or_fail(struct client *c, int rc, const char *doing)
{
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		client_want(c, EPOLLIN);
		return STEP_WAIT;
	case SSL_ERROR_WANT_WRITE:
		client_want(c, EPOLLOUT);
		return STEP_WAIT;
	case SSL_ERROR_ZERO_RETURN:
		errno = ECONNRESET;
		break;
	default:
		break;
	}
	fail(c, doing);
	return STEP_FAILED;
}

bool
client_read(
    struct client *c, void *to, size_t size, size_t *got, enum step *result)
{
	int rc = SSL_read_ex(c->ssl, to, size, got);

	if (rc == 1)
		return true;
	*result = wait_or_fail(c, rc, "read");
	return false;
}

bool
client_write(struct client *c, const void *from, size_t size, enum step *result)
{
	size_t done;
	int rc = SSL_write_ex(c->ssl, from, size, &done);

	if (rc == 1)
		return true;
	*result = wait_or_fail(c, rc, "write");
	return false;
}

static void
remember_what(struct client *c)
{
	struct load *l = c->load;
	int group = (int)SSL_get_negotiated_group(c->ssl);
	const char *name = SSL_group_to_name(c->ssl, group);

	snprintf(l->what, sizeof l->what, "version=%s cipher=%s group=%s",
	    SSL_get_version(c->ssl), SSL_get_cipher_name(c->ssl),
	    name ? name : "none");
}

static bool
is_stapled(SSL *ssl)
{
	const unsigned char *der = NULL;

	return SSL_get_tlsext_status_ocsp_resp(ssl, &der) > 0;
}

static enum step
handshake(struct client *c)
{
	struct load *l = c->load;
	int rc = SSL_do_handshake(c->ssl);

	if (rc != 1)
		return wait_or_fail(c, rc, "handshake");
	c->ready = c->settled = true;
	l->count.open++;
	if (SSL_session_reused(c->ssl))
		l->count.resumed++;
	else
		l->count.full++;
	if (is_stapled(c->ssl))
		l->count.stapled++;
	if (!l->what[0])
		remember_what(c);
	if (l->opened < l->options.clients)
		client_open(&l->clients[l->opened++]);
	l->options.mode->begin(c);
	return STEP_WAIT;
}

bool
load_is_done(const struct load *l)
{
	return l->options.count && l->count.ops >= l->options.count;
}

void
client_step(struct client *c)
{
	const struct mode *mode = c->load->options.mode;
	enum step step = STEP_WAIT;

	if (c->fd < 0)
		return;
	if (!c->ready)
		step = handshake(c);
	if (c->ready)
		step = mode->step(c);
	if (step == STEP_WAIT)
		return;
	client_close(c);
	if (mode->reconnects && !load_is_done(c->load))
		client_open(c);
}
