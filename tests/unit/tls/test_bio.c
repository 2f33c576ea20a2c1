/*
 * The BIO where it is most used: a handshake flight larger than a block, to a
 * peer that takes it, and to one that does not.
 */
#include "tls/bio.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "tests/support/link.h"

enum { CHAIN = 300 };

static struct config_listener config;
static struct ticket_keys *keys;
static struct tls_server *server;
static struct link link;

/* A server whose certificate chain does not fit one block. */
static struct tls_server *
wide_server(void)
{
	struct pki leaf = pki_make(&(struct pki_wish){ .name = "localhost" });
	struct pki filler = pki_make(&(struct pki_wish){ .name = "filler" });
	char *one = pki_certificate_pem(&filler);
	char *chain = calloc(CHAIN, strlen(one) + 1);
	struct identity *identity;
	struct tls_server *wide;

	cr_assert_gt(
	    CHAIN * i2d_X509(filler.certificate, NULL), (int)POOL_BLOCK_SIZE);
	for (int i = 0; i < CHAIN; i++)
		strcat(chain, one);
	identity = link_identity(&leaf, chain);
	wide = link_server_of(&config, identity, keys);
	identity_unref(identity);
	free(chain);
	free(one);
	pki_drop(&filler);
	pki_drop(&leaf);
	return wide;
}

static void
set_up(void)
{
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
	config = link_config();
	server = wide_server();
	link_open_tls(&link, LINK_STREAM, server);
	SSL_set_max_cert_list(link.client, 1024 * 1024);
}

static void
tear_down(void)
{
	link_close(&link);
	tls_server_unref(server);
	ticket_keys_unref(keys);
}

TestSuite(bio, .init = set_up, .fini = tear_down);

Test(bio, sends_early_when_a_flight_does_not_fit)
{
	int client;

	cr_assert_eq(link_handshake(&link, &client), IO_DONE);
	cr_assert_eq(client, 1);
}

Test(bio, waits_when_the_peer_takes_nothing)
{
	int small = 1, said = 0, i;
	enum io io = IO_WANT_WRITE;

	cr_assert_eq(setsockopt(link.server.fd, SOL_SOCKET, SO_SNDBUF, &small,
			 sizeof(small)),
	    0);
	(void)SSL_do_handshake(link.client);
	link_push(&link);
	cr_assert_eq(stream_handshake(&link.server), IO_WANT_WRITE);
	cr_assert_eq(stream_handshake(&link.server), IO_WANT_WRITE, "no event");
	cr_assert(stream_wants_write(&link.server));
	for (i = 0; i < 1000 && io != IO_DONE; i++) {
		link_feed(&link);
		said = SSL_do_handshake(link.client);
		link_push(&link);
		stream_writable(&link.server);
		stream_readable(&link.server);
		io = stream_handshake(&link.server);
	}
	cr_assert_eq(io, IO_DONE);
	cr_assert_eq(said, 1);
}
