/*
 * Servers and ClientHellos with the n-th allocation failing, for every n: an
 * error or the whole thing, and no connection goes on half-way between two
 * sites.
 */
#include "tls/server.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "base/err.h"
#include "tests/support/link.h"
#include "tests/support/scarce.h"
#include "tls/context.h"

enum { ENOUGH = 100000 };

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

char *
__wrap_strdup(const char *text)
{
	return scarce_fails_now() ? NULL : __real_strdup(text);
}

static struct config_listener listener, host;
static struct ticket_keys *keys;
static struct identity *identity;

static void
set_up(void)
{
	struct pki pair = pki_make(&(struct pki_wish){ .name = "a.example" });

	identity = link_identity(&pair, "");
	pki_drop(&pair);
	keys = ticket_keys_new(NULL);
	listener = host = link_config();
	host.pattern = "a.example";
	host.min_version = TLS_VERSION_1_3;
	host.groups = "X25519";
	listener.hosts = &host;
	listener.host_count = 1;
}

static void
tear_down(void)
{
	identity_unref(identity);
	ticket_keys_unref(keys);
}

TestSuite(server_memory, .init = set_up, .fini = tear_down);

static bool
build(struct tls_context *context)
{
	struct identity *identities[IDENTITY_KINDS] = {
		[IDENTITY_ECDSA] = identity
	};
	struct tls_server *server = tls_server_new(2, 1, keys);
	struct err err = { .text = "" };
	bool ok = server != NULL;

	for (int i = 0; ok && i < 2; i++) {
		ok = tls_server_add(
		    server, &listener, context, identities, &err);
		cr_expect_neq(ok, err.text[0] != '\0', "%s", err.text);
	}
	ok = ok && tls_server_name(server, "a.example", 1);
	if (ok)
		tls_server_seal(server, false);
	tls_server_unref(server);
	return ok;
}

Test(server_memory, running_out_while_building_is_an_error)
{
	struct tls_context *context = link_context(&listener);
	bool failed = true, ok;
	long n;

	cr_assert(build(context));
	for (n = 0; failed && n < ENOUGH; n++) {
		scarce_begin(n);
		ok = build(context);
		failed = scarce_end();
		cr_expect(ok || failed, "allocation %ld", n);
		cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	}
	cr_expect(n > 10 && n < ENOUGH, "%ld", n);
	tls_context_unref(context);
}

Test(server_memory, running_out_while_making_a_context_is_an_error)
{
	struct err err = { .text = "" };
	struct tls_context *context;
	bool failed = true;
	long n;

	for (n = 0; failed && n < ENOUGH; n++) {
		scarce_begin(n);
		context = tls_context_new(&listener, NULL, &err);
		failed = scarce_end();
		cr_expect(context != NULL || failed, "allocation %ld", n);
		cr_expect(context != NULL || err.text[0] != '\0', "%ld", n);
		cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
		tls_context_unref(context);
	}
	cr_expect(n > 10 && n < ENOUGH, "%ld", n);
}

/* Was there an n-th allocation while the ClientHello was handled? */
static bool
greet(struct tls_server *server, long n)
{
	static char name[] = "a.example";
	const struct tls_site *site = tls_server_site(server, 1);
	struct link link;
	bool failed;
	enum io io;

	link_open_tls(&link, LINK_STREAM, server);
	SSL_set_tlsext_host_name(link.client, name);
	(void)SSL_do_handshake(link.client);
	link_push(&link);
	scarce_begin(n);
	io = stream_handshake(&link.server);
	failed = scarce_end();
	if (io != IO_FAILED) {
		cr_expect_eq(tls_site_of(link.server.ssl), site, "%ld", n);
		cr_expect_eq(SSL_get_SSL_CTX(link.server.ssl),
		    tls_context_native(site->context), "%ld", n);
		cr_expect_eq(SSL_get_min_proto_version(link.server.ssl),
		    TLS1_3_VERSION, "%ld", n);
	}
	cr_expect(io != IO_FAILED || failed, "allocation %ld", n);
	link_close(&link);
	return failed;
}

Test(server_memory, running_out_never_leaves_a_client_between_two_sites)
{
	struct tls_server *server = link_server_of(&listener, identity, keys);
	long n = 0;

	while (n < ENOUGH && greet(server, n))
		n++;
	cr_expect(n > 20 && n < ENOUGH, "%ld", n);
	tls_server_unref(server);
}
