/*
 * How a TLS stream ends: close_notify and FIN, each side, in both versions,
 * and what is saved when nobody would notice.
 */
#include "tls/stream.h"

#include <criterion/criterion.h>

#include "tests/support/link.h"

static struct config_listener config;
static struct ticket_keys *keys;
static struct tls_server *server;

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

TestSuite(ending, .init = set_up, .fini = tear_down);

Test(ending, tells_close_notify_from_a_bare_fin)
{
	static const struct {
		const char *what;
		bool notify;
	} rows[] = { { "close_notify and FIN", true }, { "FIN", false } };
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++)
		for (size_t i = 0; i < 2; i++) {
			link_establish(&link, LINK_STREAM, server,
			    link_versions[v].version);
			if (rows[i].notify)
				link_notify(&link);
			link_fin(&link);
			cr_assert_eq(link_receive(&link, text, sizeof(text)),
			    IO_END, "%s", rows[i].what);
			cr_assert_eq(link.server.got_notify, rows[i].notify,
			    "%s, %s", rows[i].what, link_versions[v].what);
			link_close(&link);
		}
}

Test(ending, is_pending_behind_the_last_bytes)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert(link_say(&link, "last"));
		link_notify(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_str_eq(text, "last");
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
		link_close(&link);
	}
}

Test(ending, of_the_client_leaves_the_answer_its_way)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert(link_say(&link, "question"));
		link_notify(&link);
		link_fin(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
		cr_assert_eq(link_answer(&link, "answer"), IO_DONE);
		cr_assert_eq(stream_end(&link.server), IO_DONE);
		cr_assert_eq(link_hear(&link, text, sizeof(text)), 6);
		cr_assert(link.saw_notify, "%s: it still reads",
		    link_versions[v].what);
		link_close(&link);
	}
}

Test(ending, of_ours_leaves_the_client_its_way)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert_eq(link_answer(&link, "bye"), IO_DONE);
		cr_assert_eq(stream_end(&link.server), IO_DONE);
		cr_assert_eq(link_hear(&link, text, sizeof(text)), 3);
		cr_assert(link.saw_notify && link.saw_fin, "%s",
		    link_versions[v].what);
		cr_assert(link_say(&link, "still here"));
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_str_eq(
		    text, "still here", "%s", link_versions[v].what);
		link_close(&link);
	}
}

Test(ending, sends_nothing_to_a_client_that_has_closed)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_PACKETS, server, link_versions[v].version);
		link_feed(&link);
		link.sends = 0;
		link_notify(&link);
		link_fin(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
		cr_assert_eq(stream_end(&link.server), IO_DONE);
		link_feed(&link);
		cr_assert_eq(link.sends, 0, "%s", link_versions[v].what);
		link_close(&link);
	}
}

Test(ending, is_notified_after_an_answer_although_its_fin_came)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert_eq(link_answer(&link, "early"), IO_DONE);
		link_notify(&link);
		link_fin(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
		cr_assert_eq(stream_end(&link.server), IO_DONE);
		cr_assert_eq(link_hear(&link, text, sizeof(text)), 5);
		cr_assert(link.saw_notify, "%s", link_versions[v].what);
		link_close(&link);
	}
}

Test(ending, answers_no_key_update_afterwards)
{
	struct link link;
	char text[64];

	link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
	cr_assert_eq(stream_end(&link.server), IO_DONE);
	for (int i = 0; i < 3; i++) {
		cr_assert(
		    SSL_key_update(link.client, SSL_KEY_UPDATE_REQUESTED));
		cr_assert(link_say(&link, "goes on"));
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_str_eq(text, "goes on");
	}
	cr_assert_eq(link.server.failure, STREAM_OK);
	link_close(&link);
}

Test(ending, is_notified_when_only_half_of_that_came)
{
	static const struct {
		const char *what;
		bool notify, fin;
	} rows[] = {
		{ "close_notify without FIN", true, false },
		{ "FIN without close_notify", false, true },
	};
	struct link link;
	char text[64];

	for (size_t i = 0; i < 2; i++) {
		link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
		if (rows[i].notify)
			link_notify(&link);
		if (rows[i].fin)
			link_fin(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
		cr_assert_eq(stream_end(&link.server), IO_DONE);
		cr_assert_eq(link_hear(&link, text, sizeof(text)), 0);
		cr_assert(link.saw_notify, "%s", rows[i].what);
		link_close(&link);
	}
}

/* A client that does not read: end must wait, and lose nothing. */
Test(ending, waits_for_what_is_still_to_be_sent)
{
	static uint8_t heard[8 * 1024 * 1024];
	struct link link;
	size_t got = 0;
	int i;

	link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
	for (i = 0; i < 100000; i++)
		if (link_answer(&link, "a little at a time") != IO_DONE)
			break;
	cr_assert_eq(stream_end(&link.server), IO_WANT_WRITE);
	for (i = 0; i < 100 && !link.saw_fin; i++) {
		got += link_hear(&link, heard + got, sizeof(heard) - got);
		stream_writable(&link.server);
		(void)stream_end(&link.server);
	}
	got += link_hear(&link, heard + got, sizeof(heard) - got);
	cr_assert_eq(got, link.server.bytes_out);
	cr_assert(link.saw_notify && link.saw_fin);
	link_close(&link);
}

Test(ending, by_reset_is_a_failure)
{
	struct link link;
	char text[64];

	link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
	cr_assert_eq(link_answer(&link, "unread"), IO_DONE);
	link_hang_up(&link);
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_FAILED);
	cr_assert_eq(link.server.failure, STREAM_RESET);
	cr_assert_eq(stream_end(&link.server), IO_FAILED);
	link_close(&link);
}
