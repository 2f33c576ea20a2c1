/*
 * A stream and its peer in one thread.
 */
#include "tests/support/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

enum {
	ROUNDS = 50,
	CHUNK = 16 * 1024,
	/* A packet must be taken whole: as large as any block of records. */
	PACKET_MAX = 128 * 1024
};

const struct link_version link_versions[LINK_VERSIONS] = {
	{ "TLSv1.2", TLS1_2_VERSION },
	{ "TLSv1.3", TLS1_3_VERSION },
};

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "link: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

static int
open_pair(struct link *link, enum link_kind kind)
{
	int type = kind == LINK_PACKETS ? SOCK_SEQPACKET : SOCK_STREAM;
	int fds[2];

	*link = (struct link){ .peer = -1 };
	link->pool = pool_new();
	must(link->pool != NULL &&
		 socketpair(
		     AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0,
	    "making a socket pair");
	link->peer = fds[1];
	return fds[0];
}

void
link_open_plain(struct link *link, enum link_kind kind)
{
	int fd = open_pair(link, kind);

	stream_init_plain(&link->server, fd, link->pool);
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct link *link = SSL_get_app_data(ssl);

	SSL_SESSION_free(link->session);
	link->session = session;
	return 1; /* kept */
}

void
link_open_tls(struct link *link, enum link_kind kind, struct tls_server *server)
{
	int fd = open_pair(link, kind);

	must(stream_init_tls(&link->server, fd, link->pool, server),
	    "making the stream");
	link->context = SSL_CTX_new(TLS_client_method());
	must(link->context != NULL, "making the client's context");
	SSL_CTX_set_session_cache_mode(
	    link->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(link->context, on_session);
	link->client = SSL_new(link->context);
	must(link->client != NULL, "making the client");
	SSL_set_bio(link->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(link->client), -1);
	SSL_set_app_data(link->client, link);
	SSL_set_connect_state(link->client);
}

void
link_close(struct link *link)
{
	stream_fini(&link->server, false);
	link_hang_up(link);
	/* Freed without, it would make its session useless for resumption. */
	if (link->client != NULL)
		SSL_set_shutdown(
		    link->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(link->client);
	SSL_CTX_free(link->context);
	SSL_SESSION_free(link->session);
	must(pool_in_use(link->pool) == 0, "giving every block back");
	pool_free(link->pool);
	ERR_clear_error();
}

void
link_feed(struct link *link)
{
	static const size_t max = PACKET_MAX;
	uint8_t *bytes = malloc(max);
	ssize_t n = 1;

	must(bytes != NULL, "malloc");
	while (n > 0) {
		n = recv(link->peer, bytes, max, 0);
		if (n <= 0)
			break;
		link->sends++;
		must(BIO_write(SSL_get_rbio(link->client), bytes, (int)n) ==
			 (int)n,
		    "feeding the client");
	}
	if (n == 0)
		link->saw_fin = true;
	free(bytes);
}

void
link_push(struct link *link)
{
	uint8_t bytes[CHUNK];
	BIO *from = SSL_get_wbio(link->client);
	int n;

	while ((n = BIO_read(from, bytes, sizeof(bytes))) > 0)
		must(send(link->peer, bytes, (size_t)n, MSG_NOSIGNAL) == n,
		    "pushing the client's bytes");
}

enum io
link_handshake(struct link *link, int *client)
{
	enum io io = IO_WANT_READ;
	int said = 0, round;

	for (round = 0; round < ROUNDS; round++) {
		ERR_clear_error();
		said = SSL_do_handshake(link->client);
		link_push(link);
		stream_readable(&link->server);
		if (io == IO_WANT_READ)
			io = stream_handshake(&link->server);
		link_feed(link);
		if (said == 1 && io == IO_DONE)
			break;
	}
	if (client != NULL)
		*client = said;
	ERR_clear_error();
	return io;
}

void
link_establish(struct link *link, enum link_kind kind,
    struct tls_server *server, int version)
{
	int client;

	link_open_tls(link, kind, server);
	SSL_set_min_proto_version(link->client, version);
	SSL_set_max_proto_version(link->client, version);
	must(link_handshake(link, &client) == IO_DONE && client == 1,
	    "the handshake");
}

bool
link_say(struct link *link, const char *text)
{
	size_t len = strlen(text), sent;

	if (link->client == NULL)
		return send(link->peer, text, len, MSG_NOSIGNAL) ==
		       (ssize_t)len;
	ERR_clear_error();
	if (SSL_write_ex(link->client, text, len, &sent) != 1)
		return false;
	link_push(link);
	return sent == len;
}

static size_t
hear_plain(struct link *link, char *into, size_t max)
{
	size_t got = 0;
	ssize_t n = 1;

	while (n > 0 && got < max) {
		n = recv(link->peer, into + got, max - got, 0);
		if (n > 0)
			got += (size_t)n;
	}
	if (n == 0)
		link->saw_fin = true;
	return got;
}

size_t
link_hear(struct link *link, void *into, size_t max)
{
	size_t got = 0, some;

	if (link->client == NULL)
		return hear_plain(link, into, max);
	link_feed(link);
	ERR_clear_error();
	while (got < max && SSL_read_ex(link->client, (char *)into + got,
				max - got, &some) == 1)
		got += some;
	if (SSL_get_shutdown(link->client) & SSL_RECEIVED_SHUTDOWN)
		link->saw_notify = true;
	ERR_clear_error();
	return got;
}

enum io
link_answer(struct link *link, const char *text)
{
	struct buf from = { 0 };
	enum io io;

	must(buf_hold(&from, link->pool), "taking a block");
	memcpy(buf_tail(&from), text, strlen(text));
	buf_commit(&from, strlen(text));
	io = stream_write(&link->server, &from);
	buf_drop(&from, link->pool);
	return io;
}

enum io
link_receive(struct link *link, char *text, size_t max)
{
	struct buf into = { 0 };
	enum io io;

	must(buf_hold(&into, link->pool), "taking a block");
	stream_readable(&link->server);
	io = stream_read(&link->server, &into);
	must(buf_len(&into) < max, "holding what was received");
	memcpy(text, buf_bytes(&into), buf_len(&into));
	text[buf_len(&into)] = '\0';
	buf_drop(&into, link->pool);
	return io;
}

void
link_notify(struct link *link)
{
	ERR_clear_error();
	(void)SSL_shutdown(link->client); /* 0: the other's is not there yet */
	link_push(link);
}

void
link_fin(struct link *link)
{
	must(shutdown(link->peer, SHUT_WR) == 0, "sending FIN");
}

void
link_hang_up(struct link *link)
{
	if (link->peer >= 0)
		close(link->peer);
	link->peer = -1;
}
