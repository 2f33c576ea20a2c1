/*
 * Handshakes over a BIO pair.  Any thread.  The two sides take turns until
 * neither can go on, so a handshake that hangs ends by itself.
 */
#include "tests/support/shake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/tls1.h>

enum { TURNS = 20, PIPE = 64 * 1024 };

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "shake: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

/* The client's last session is kept where on_session finds it. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct shaken *shaken = SSL_get_app_data(ssl);

	SSL_SESSION_free(shaken->session);
	shaken->session = session;
	return 1; /* the reference is ours now */
}

static void
on_event(const SSL *ssl, int where, int value)
{
	struct shaken *shaken = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		shaken->alert = value & 0xff;
}

SSL_CTX *
shake_client(void)
{
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());

	must(client != NULL, "making a client");
	SSL_CTX_set_session_cache_mode(
	    client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client, on_session);
	SSL_CTX_set_info_callback(client, on_event);
	return client;
}

static void
prepare(SSL *client, SSL *server, struct shake_wish *wish)
{
	if (wish->version != 0)
		must(SSL_set_min_proto_version(client, wish->version) == 1 &&
			 SSL_set_max_proto_version(client, wish->version) == 1,
		    "choosing a version");
	must(wish->ciphers[0] == '\0' ||
		 SSL_set_cipher_list(client, wish->ciphers) == 1,
	    "choosing ciphers");
	must(wish->sigalgs[0] == '\0' ||
		 SSL_set1_sigalgs_list(client, wish->sigalgs) == 1,
	    "choosing signature algorithms");
	must(wish->groups[0] == '\0' ||
		 SSL_set1_groups_list(server, wish->groups) == 1,
	    "choosing groups");
	must(wish->name[0] == '\0' ||
		 SSL_set_tlsext_host_name(client, wish->name) == 1,
	    "choosing a name");
	must(wish->session == NULL ||
		 SSL_set_session(client, wish->session) == 1,
	    "offering a session");
	if (wish->ask)
		SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
}

static void
connect_both(SSL *client, SSL *server)
{
	BIO *one, *two;

	must(BIO_new_bio_pair(&one, PIPE, &two, PIPE) == 1, "making a pipe");
	SSL_set_bio(client, one, one);
	SSL_set_bio(server, two, two);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
}

static void
see_staple(SSL *client, struct shaken *shaken)
{
	const unsigned char *staple = NULL;
	long len = SSL_get_tlsext_status_ocsp_resp(client, &staple);

	if (staple == NULL || len <= 0)
		return;
	shaken->staple = malloc((size_t)len);
	must(shaken->staple != NULL, "keeping a staple");
	memcpy(shaken->staple, staple, (size_t)len);
	shaken->len = (size_t)len;
}

struct shaken
shake(SSL_CTX *server_context, SSL_CTX *client_context,
    const struct shake_wish *wish)
{
	SSL *client = SSL_new(client_context),
	    *server = SSL_new(server_context);
	struct shake_wish own = *wish; /* OpenSSL requires it writable */
	struct shaken shaken = { 0 };
	char byte;

	must(client != NULL && server != NULL, "making two ends");
	SSL_set_app_data(client, &shaken);
	prepare(client, server, &own);
	connect_both(client, server);
	for (int i = 0; !shaken.done && i < TURNS; i++) {
		int done = SSL_do_handshake(client);

		shaken.done = SSL_do_handshake(server) == 1 && done == 1;
	}
	(void)SSL_read(client, &byte, 1); /* TLS 1.3 tickets, or an alert */
	see_staple(client, &shaken);
	shaken.resumed = shaken.done && SSL_session_reused(client) == 1;
	/* Without this a session would be thrown away with its connection. */
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	SSL_free(server);
	ERR_clear_error();
	return shaken;
}

void
shaken_drop(struct shaken *shaken)
{
	SSL_SESSION_free(shaken->session);
	free(shaken->staple);
	*shaken = (struct shaken){ 0 };
}
