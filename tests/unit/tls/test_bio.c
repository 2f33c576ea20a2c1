/*
 * The BIO where it is most used: a handshake flight larger than a block, to a
 * peer that takes it, and to one that does not.
 */
#include "tls/bio.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "tests/support/link.h"

enum { CHAIN = 300 };

static struct ticket_keys *keys;
static struct tls_context *context;
static struct link link;

/* A context whose certificate chain does not fit one block. */
static struct tls_context *
wide_context(void)
{
	struct config_listener config = link_config();
	struct tls_context *wide = link_context(&config, PKI_P256, keys);
	struct pki filler = pki_make(&(struct pki_wish){ .name = "filler" });
	int i;

	for (i = 0; i < CHAIN; i++)
		cr_assert(SSL_CTX_add1_chain_cert(
		    tls_context_native(wide), filler.certificate));
	cr_assert_gt(
	    CHAIN * i2d_X509(filler.certificate, NULL), (int)POOL_BLOCK_SIZE);
	pki_drop(&filler);
	return wide;
}

static void
set_up(void)
{
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
	context = wide_context();
	link_open_tls(&link, LINK_STREAM, context);
	SSL_set_max_cert_list(link.client, 1024 * 1024);
}

static void
tear_down(void)
{
	link_close(&link);
	tls_context_unref(context);
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
