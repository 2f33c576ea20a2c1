/*
 * The last look at a client, when OpenSSL is content with it: whoever the
 * policy does not admit is let into nothing, in both protocol versions.
 */
#include "tls/stream_tls.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/link.h"

static struct config_listener config;
static struct ticket_keys *keys;
static struct tls_server *server;

/* Asks clients for nothing, whatever the policy says later. */
static void
set_up(void)
{
	config = link_config();
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
	server = link_server(&config, PKI_P256, keys);
}

static void
tear_down(void)
{
	tls_server_unref(server);
	ticket_keys_unref(keys);
}

TestSuite(admission, .init = set_up, .fini = tear_down);

static void
open_version(struct link *link, size_t v)
{
	link_open_tls(link, LINK_STREAM, server);
	SSL_set_max_proto_version(link->client, link_versions[v].version);
}

Test(admission, is_the_last_step_of_a_handshake)
{
	static const struct {
		enum config_verify given;
		enum io expect;
	} rows[] = {
		{ VERIFY_NONE, IO_DONE },
		{ VERIFY_OPTIONAL, IO_DONE },
		{ VERIFY_REQUIRE, IO_FAILED },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows) * LINK_VERSIONS; i++) {
		struct link link;

		config.verify = rows[i / 2].given;
		open_version(&link, i % 2);
		cr_expect_eq(link_handshake(&link, NULL), rows[i / 2].expect,
		    "row %zu, %s", i / 2, link_versions[i % 2].what);
		link_close(&link);
	}
}

Test(admission, refused_leaves_nothing_to_read_or_write)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		const char *what = link_versions[v].what;
		struct link link;
		char text[16];

		config.verify = VERIFY_REQUIRE;
		open_version(&link, v);
		cr_expect_eq(link_handshake(&link, NULL), IO_FAILED);
		(void)link_say(&link, "question");
		cr_expect_eq(link_receive(&link, text, sizeof(text)), IO_FAILED,
		    "%s", what);
		cr_expect_eq(link_answer(&link, "answer"), IO_FAILED);
		cr_expect_eq(link_hear(&link, text, sizeof(text)), 0);
		cr_expect_null(link.session, "%s: a ticket", what);
		link_close(&link);
	}
}

Test(admission, refused_is_a_failed_handshake_in_words_of_the_policy)
{
	struct link link;
	char text[128];

	config.verify = VERIFY_REQUIRE;
	open_version(&link, 0);
	cr_expect_eq(link_handshake(&link, NULL), IO_FAILED);
	cr_expect_eq(link.server.failure, STREAM_HANDSHAKE);
	stream_failure_text(&link.server, text, sizeof(text));
	cr_expect_not_null(strstr(text, "no longer admitted"), "%s", text);
	link_close(&link);
}
