/*
 * Threads that make and open tickets while one rotates the keys, and contexts
 * that come and go with references to them.  Run under ThreadSanitizer; exits
 * with 0 when every handshake succeeded.
 *
 * Each thread drives both ends of its connections in memory.  The identity is
 * made by hand rather than loaded, and each worker resumes whenever it can.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "base/thread.h"
#include "tls/ticket.h"

enum { WORKERS = 4, HANDSHAKES = 150, ROTATIONS = 300, ROUNDS = 20 };

struct worker {
	struct thread thread;
	struct ticket_keys *keys; /* own reference */
	SSL_CTX *context;         /* shared by all workers */
	unsigned resumed;
	bool ok;
};

static SSL_CTX *
server_context(struct ticket_keys *keys)
{
	static const uint8_t policy[32] = { 1 };
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	bool ok =
	    context != NULL && key != NULL && certificate != NULL &&
	    X509_set_pubkey(certificate, key) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) != NULL &&
	    X509_sign(certificate, key, EVP_sha256()) > 0 &&
	    SSL_CTX_use_cert_and_key(context, certificate, key, NULL, 1) == 1 &&
	    SSL_CTX_set_session_id_context(context, policy, sizeof(policy)) ==
		1 &&
	    ticket_attach(keys, context, policy, 3600 * 1000, NULL);

	X509_free(certificate);
	EVP_PKEY_free(key);
	if (ok)
		return context;
	SSL_CTX_free(context);
	return NULL;
}

static bool
shake(SSL *client, SSL *server)
{
	BIO *one, *two;
	int round;
	char byte;

	if (BIO_new_bio_pair(&one, 64 * 1024, &two, 64 * 1024) != 1)
		return false;
	SSL_set_bio(client, one, one);
	SSL_set_bio(server, two, two);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (round = 0; round < ROUNDS; round++) {
		int done = SSL_do_handshake(client);

		if (SSL_do_handshake(server) == 1 && done == 1)
			break;
	}
	(void)SSL_read(client, &byte, 1); /* takes the TLS 1.3 ticket */
	return round < ROUNDS;
}

/* One connection with *session (may be NULL), which is replaced. */
static bool
visit(struct worker *worker, SSL_CTX *clients, SSL_SESSION **session)
{
	SSL *client = SSL_new(clients), *server = SSL_new(worker->context);
	bool ok = client != NULL && server != NULL;

	if (ok && *session != NULL)
		ok = SSL_set_session(client, *session) == 1;
	ok = ok && shake(client, server);
	if (ok) {
		worker->resumed += (unsigned)SSL_session_reused(server);
		SSL_set_shutdown(
		    client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_SESSION_free(*session);
		*session = SSL_get1_session(client);
	}
	SSL_free(client);
	SSL_free(server);
	return ok;
}

static void
work(void *arg)
{
	struct worker *worker = arg;
	SSL_CTX *clients = SSL_CTX_new(TLS_client_method());
	SSL_SESSION *session = NULL;
	int i;

	worker->ok = clients != NULL;
	for (i = 0; worker->ok && i < HANDSHAKES; i++) {
		/* Both callbacks' versions of the key's fate. */
		SSL_CTX_set_max_proto_version(
		    clients, i / 50 % 2 == 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
		if (i % 50 == 0) {
			SSL_SESSION_free(session);
			session = NULL;
		}
		worker->ok = visit(worker, clients, &session);
	}
	SSL_SESSION_free(session);
	SSL_CTX_free(clients);
	ticket_keys_unref(worker->keys);
}

static bool
rotate(struct ticket_keys *keys)
{
	struct err err;
	int i;

	for (i = 0; i < ROTATIONS; i++) {
		SSL_CTX *passing = server_context(keys);

		if (passing == NULL || !ticket_keys_rotate(keys, &err))
			return false;
		SSL_CTX_free(passing);
	}
	return true;
}

int
main(void)
{
	static struct worker workers[WORKERS];
	struct err err = { .text = "no context" };
	struct ticket_keys *keys = ticket_keys_new(&err);
	SSL_CTX *context = keys != NULL ? server_context(keys) : NULL;
	bool ok = context != NULL;
	unsigned resumed = 0;
	int i;

	for (i = 0; ok && i < WORKERS; i++) {
		workers[i].keys = ticket_keys_ref(keys);
		workers[i].context = context;
		ok = thread_start(
		    &workers[i].thread, "worker", work, &workers[i], &err);
	}
	ok = ok && rotate(keys);
	for (i = 0; i < WORKERS; i++) {
		thread_join(&workers[i].thread);
		ok = ok && workers[i].ok;
		resumed += workers[i].resumed;
	}
	SSL_CTX_free(context);
	ticket_keys_unref(keys);
	printf("ticket: %u of %u resumed, %s\n", resumed, WORKERS * HANDSHAKES,
	    ok ? "ok" : err.text);
	return ok && resumed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
