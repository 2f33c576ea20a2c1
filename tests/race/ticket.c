/*
 * Threads that make and open tickets while one rotates the keys and loads
 * them from a file, and servers that come and go with references to them.  Run
 * under ThreadSanitizer; exits with 0 when every handshake succeeded.
 *
 * Each thread drives both ends of its connections in memory, and resumes
 * whenever it can.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/err.h"
#include "base/thread.h"
#include "tests/support/link.h"
#include "tests/support/pki.h"
#include "tls/identity.h"
#include "tls/ticket.h"
#include "tls/tls_server.h"

enum { WORKERS = 4, HANDSHAKES = 150, CHANGES = 300, ROUNDS = 20, FILES = 2 };

struct worker {
	struct thread thread;
	struct ticket_keys *keys;  /* own reference */
	struct tls_server *server; /* shared by all workers */
	unsigned resumed;
	bool ok;
};

/* What the main thread changes keys with. */
struct changer {
	struct config_listener settings;
	struct ticket_keys *keys;
	struct identity *identity;
	struct pki_folder folder;
	char *files[FILES];
};

static struct identity *
make_identity(void)
{
	struct pki made = pki_make(&(struct pki_wish){ .name = "localhost" });
	struct identity *identity = link_identity(&made, "");

	pki_drop(&made);
	return identity;
}

/* Two keys: the same in every file, in another order. */
static char *
write_keys(const struct pki_folder *folder, int number)
{
	unsigned char bytes[80];
	char text[256] = "", name[16];
	int i;

	for (i = 0; i < FILES; i++) {
		memset(bytes, 1 + (number + i) % FILES, sizeof(bytes));
		EVP_EncodeBlock(
		    (unsigned char *)text + strlen(text), bytes, sizeof(bytes));
		strcat(text, "\n");
	}
	snprintf(name, sizeof(name), "keys.%d", number);
	return pki_write(folder, name, text);
}

static bool
open_changer(struct changer *changer)
{
	int i;

	*changer = (struct changer){ .settings = link_config() };
	changer->keys = ticket_keys_new(NULL);
	changer->identity = make_identity();
	pki_folder_make(&changer->folder);
	for (i = 0; i < FILES; i++)
		changer->files[i] = write_keys(&changer->folder, i);
	return changer->keys != NULL;
}

static void
close_changer(struct changer *changer)
{
	int i;

	for (i = 0; i < FILES; i++)
		free(changer->files[i]);
	pki_folder_remove(&changer->folder);
	identity_unref(changer->identity);
	ticket_keys_unref(changer->keys);
}

static struct tls_server *
make_server(const struct changer *changer)
{
	return link_server_of(
	    &changer->settings, changer->identity, changer->keys);
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
	SSL *client = SSL_new(clients),
	    *server = tls_server_ssl(worker->server);
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
change(const struct changer *changer, struct err *err)
{
	bool ok = true;
	int i;

	for (i = 0; ok && i < CHANGES; i++) {
		struct tls_server *passing = make_server(changer);

		if (i % 3 == FILES)
			ok = ticket_keys_rotate(changer->keys, err);
		else
			ok = ticket_keys_load(changer->keys,
			    changer->files[i % 3], KEYS_ANY, NULL, err);
		tls_server_unref(passing);
	}
	return ok;
}

int
main(void)
{
	static struct worker workers[WORKERS];
	struct err err = { .text = "no keys" };
	struct changer changer;
	bool ok = open_changer(&changer);
	struct tls_server *server = ok ? make_server(&changer) : NULL;
	unsigned resumed = 0;
	int i;

	for (i = 0; ok && i < WORKERS; i++) {
		workers[i].keys = ticket_keys_ref(changer.keys);
		workers[i].server = server;
		ok = thread_start(
		    &workers[i].thread, "worker", work, &workers[i], &err);
	}
	ok = ok && change(&changer, &err);
	for (i = 0; i < WORKERS; i++) {
		thread_join(&workers[i].thread);
		ok = ok && workers[i].ok;
		resumed += workers[i].resumed;
	}
	tls_server_unref(server);
	close_changer(&changer);
	printf("ticket: %u of %u resumed, %s\n", resumed, WORKERS * HANDSHAKES,
	    ok ? "ok" : err.text);
	return ok && resumed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
