/*
 * Resumption: that it works in both versions, that rotation bounds it, that
 * its lifetime counts from the first full handshake, and that a ticket is
 * worth nothing under another policy.  Time is the test's own.
 */
#include "tls/ticket.h"

#include <criterion/criterion.h>

#include "tests/support/link.h"

enum { HOUR_MS = 3600 * 1000 };

static int64_t now_ms;
static struct ticket_keys *keys;

static int64_t
tell_time(void *arg)
{
	return *(const int64_t *)arg;
}

static void
set_up(void)
{
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
	now_ms = INT64_C(1700000000000);
	ticket_keys_set_clock(keys, tell_time, &now_ms);
}

static void
tear_down(void)
{
	ticket_keys_unref(keys);
}

TestSuite(ticket, .init = set_up, .fini = tear_down);

/* OpenSSL tells a TLS 1.2 client of no ticket that renews another: look. */
static void
keep_session(struct link *link, int version, SSL_SESSION **session)
{
	SSL_SESSION *fresh = version == TLS1_2_VERSION
				 ? SSL_get1_session(link->client)
				 : link->session;

	if (fresh == NULL)
		return;
	SSL_SESSION_free(*session);
	*session = fresh;
	if (version != TLS1_2_VERSION)
		link->session = NULL;
}

/*
 * Connect with the session held in *session (NULL: none), which is replaced
 * by the new one the server gives, if it does.  Was it resumed?
 */
static bool
visit(struct tls_context *context, int version, SSL_SESSION **session)
{
	struct stream_facts facts;
	struct link link;
	char text[8];
	int client;

	link_open_tls(&link, LINK_STREAM, context);
	SSL_set_min_proto_version(link.client, version);
	SSL_set_max_proto_version(link.client, version);
	if (*session != NULL)
		cr_assert(SSL_set_session(link.client, *session));
	cr_assert_eq(link_handshake(&link, &client), IO_DONE);
	cr_assert_eq(link_answer(&link, "x"), IO_DONE);
	cr_assert_eq(link_hear(&link, text, sizeof(text)), 1);
	stream_facts(&link.server, &facts);
	cr_assert_eq(facts.resumed, SSL_session_reused(link.client));
	keep_session(&link, version, session);
	link_close(&link);
	return facts.resumed;
}

static struct tls_context *
context_named(const char *name)
{
	struct config_listener config = link_config();

	config.name = name;
	return link_context(&config, PKI_P256, keys);
}

Test(ticket, resumes)
{
	struct tls_context *context = context_named("a");

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		SSL_SESSION *session = NULL;

		cr_assert_not(
		    visit(context, link_versions[v].version, &session));
		cr_assert_not_null(session, "%s", link_versions[v].what);
		cr_assert(visit(context, link_versions[v].version, &session),
		    "%s", link_versions[v].what);
		SSL_SESSION_free(session);
	}
	tls_context_unref(context);
}

Test(ticket, is_one_per_handshake_in_tls13)
{
	struct tls_context *context = context_named("a");
	SSL_SESSION *session = NULL, *first;

	cr_assert_not(visit(context, TLS1_3_VERSION, &session));
	first = session;
	cr_assert(SSL_SESSION_up_ref(first));
	cr_assert(visit(context, TLS1_3_VERSION, &session));
	cr_assert_neq(session, first, "a resumed client gets a new one");
	SSL_SESSION_free(first);
	SSL_SESSION_free(session);
	tls_context_unref(context);
}

static const struct {
	const char *what;
	int count;
	bool resumed;
} rotations[] = {
	{ "newest key", 0, true },
	{ "second key", 1, true },
	{ "third key", 2, true },
	{ "forgotten key", 3, false },
};

Test(ticket, outlives_two_rotations_and_not_three)
{
	struct tls_context *context = context_named("a");

	for (size_t v = 0; v < LINK_VERSIONS; v++)
		for (size_t i = 0; i < 4; i++) {
			SSL_SESSION *session = NULL;

			(void)visit(
			    context, link_versions[v].version, &session);
			for (int n = 0; n < rotations[i].count; n++)
				cr_assert(ticket_keys_rotate(keys, NULL));
			cr_assert_eq(
			    visit(context, link_versions[v].version, &session),
			    rotations[i].resumed, "%s, %s", rotations[i].what,
			    link_versions[v].what);
			SSL_SESSION_free(session);
		}
	tls_context_unref(context);
}

Test(ticket, of_an_old_key_is_replaced)
{
	struct tls_context *context = context_named("a");

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		SSL_SESSION *session = NULL;

		(void)visit(context, link_versions[v].version, &session);
		for (int n = 0; n < 6; n++) {
			cr_assert(ticket_keys_rotate(keys, NULL));
			cr_assert(
			    visit(context, link_versions[v].version, &session),
			    "%s, rotation %d", link_versions[v].what, n + 1);
		}
		SSL_SESSION_free(session);
	}
	tls_context_unref(context);
}

static const struct {
	const char *what;
	int64_t later_ms;
	bool resumed;
} ages[] = {
	{ "just young enough", 2 * HOUR_MS - 1, true },
	{ "just too old", 2 * HOUR_MS, false },
	{ "the clock set back a little", -1000, true },
	{ "the clock set back far", -HOUR_MS, false },
};

Test(ticket, is_too_old_after_its_lifetime)
{
	struct tls_context *context = context_named("a");

	for (size_t v = 0; v < LINK_VERSIONS; v++)
		for (size_t i = 0; i < 4; i++) {
			SSL_SESSION *session = NULL;

			(void)visit(
			    context, link_versions[v].version, &session);
			now_ms += ages[i].later_ms;
			cr_assert_eq(
			    visit(context, link_versions[v].version, &session),
			    ages[i].resumed, "%s, %s", ages[i].what,
			    link_versions[v].what);
			SSL_SESSION_free(session);
		}
	tls_context_unref(context);
}

Test(ticket, keeps_its_birth_when_renewed)
{
	struct tls_context *context = context_named("a");

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		SSL_SESSION *session = NULL;

		(void)visit(context, link_versions[v].version, &session);
		for (int n = 0; n < 3; n++) {
			now_ms += HOUR_MS / 2;
			/* so that TLS 1.2 renews it too */
			cr_assert(ticket_keys_rotate(keys, NULL));
			cr_assert(
			    visit(context, link_versions[v].version, &session));
		}
		now_ms += HOUR_MS / 2;
		cr_assert_not(
		    visit(context, link_versions[v].version, &session),
		    "%s: two hours since the full handshake",
		    link_versions[v].what);
		cr_assert(visit(context, link_versions[v].version, &session),
		    "%s: that was a full one", link_versions[v].what);
		SSL_SESSION_free(session);
	}
	tls_context_unref(context);
}

Test(ticket, says_how_long_it_still_lasts)
{
	struct tls_context *context = context_named("a");
	SSL_SESSION *session = NULL;

	(void)visit(context, TLS1_3_VERSION, &session);
	cr_assert_eq(SSL_SESSION_get_ticket_lifetime_hint(session), 7200);
	now_ms += HOUR_MS;
	(void)visit(context, TLS1_3_VERSION, &session);
	cr_assert_eq(SSL_SESSION_get_ticket_lifetime_hint(session), 3600);
	SSL_SESSION_free(session);
	tls_context_unref(context);
}

Test(ticket, is_worth_nothing_under_another_policy)
{
	struct tls_context *ours = context_named("a");
	struct tls_context *other = context_named("b");
	struct tls_context *again = context_named("a");

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		SSL_SESSION *session = NULL;

		(void)visit(ours, link_versions[v].version, &session);
		cr_assert(visit(again, link_versions[v].version, &session),
		    "%s: a reload", link_versions[v].what);
		cr_assert_not(visit(other, link_versions[v].version, &session),
		    "%s: another listener", link_versions[v].what);
		SSL_SESSION_free(session);
	}
	tls_context_unref(ours);
	tls_context_unref(other);
	tls_context_unref(again);
}

Test(ticket, is_not_given_when_off)
{
	struct config_listener config = link_config();
	struct tls_context *context;

	config.tickets = false;
	context = link_context(&config, PKI_P256, keys);
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		SSL_SESSION *session = NULL;

		cr_assert_not(
		    visit(context, link_versions[v].version, &session));
		cr_assert(session == NULL || !SSL_SESSION_has_ticket(session),
		    "%s", link_versions[v].what);
		cr_assert_not(
		    visit(context, link_versions[v].version, &session),
		    "%s: no resumption", link_versions[v].what);
		SSL_SESSION_free(session);
	}
	tls_context_unref(context);
}

Test(ticket, keys_live_as_long_as_a_context_needs_them)
{
	struct tls_context *context = context_named("a");
	SSL_SESSION *session = NULL;

	ticket_keys_unref(keys);
	keys = NULL;
	cr_assert_not(visit(context, TLS1_3_VERSION, &session));
	cr_assert(visit(context, TLS1_3_VERSION, &session));
	SSL_SESSION_free(session);
	tls_context_unref(context);
}
