/*
 * Session tickets: which session resumes, under which key, for how long and
 * under which name; keys that rotate, and keys from a file.
 */
#include "tls/ticket.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/evp.h>

#include "base/err.h"
#include "tests/support/link.h"
#include "tests/support/pki.h"
#include "tests/support/visit.h"
#include "tests/unit/tls/client_fixture.h"

enum { HOUR_MS = 3600 * 1000 };

static int64_t now_ms;
static struct ticket_keys *keys;
static struct config_listener settings;
static struct tls_server *server;

static int64_t
fixture_now(void *arg)
{
	return *(const int64_t *)arg;
}

static void
set_up(void)
{
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
	now_ms = INT64_C(1700000000000);
	ticket_keys_set_clock(keys, fixture_now, &now_ms);
	settings = link_config();
	server = link_server(&settings, PKI_P256, keys);
}

static void
tear_down(void)
{
	tls_server_unref(server);
	ticket_keys_unref(keys);
}

TestSuite(ticket, .init = set_up, .fini = tear_down);

static struct visitor
visitor_of(size_t v)
{
	return (struct visitor){ .version = link_versions[v].version };
}

Test(ticket, resumes)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = visitor_of(v);

		cr_assert_eq(visit(server, &visitor), VISIT_FULL);
		cr_assert_not_null(
		    visitor.session, "%s", link_versions[v].what);
		cr_assert_eq(visit(server, &visitor), VISIT_RESUMED, "%s",
		    link_versions[v].what);
		visitor_drop(&visitor);
	}
}

Test(ticket, is_one_per_handshake_in_tls13)
{
	struct visitor visitor = { .version = TLS1_3_VERSION };
	SSL_SESSION *first;

	cr_assert_eq(visit(server, &visitor), VISIT_FULL);
	first = visitor.session;
	cr_assert(SSL_SESSION_up_ref(first));
	cr_assert_eq(visit(server, &visitor), VISIT_RESUMED);
	cr_assert_neq(
	    visitor.session, first, "a resumed client gets a new one");
	SSL_SESSION_free(first);
	visitor_drop(&visitor);
}

static const struct {
	const char *what;
	int count;
	enum visited visited;
} rotations[] = {
	{ "newest key", 0, VISIT_RESUMED },
	{ "second key", 1, VISIT_RESUMED },
	{ "third key", 2, VISIT_RESUMED },
	{ "forgotten key", 3, VISIT_FULL },
};

Test(ticket, outlives_two_rotations_and_not_three)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++)
		for (size_t i = 0; i < 4; i++) {
			struct visitor visitor = visitor_of(v);

			(void)visit(server, &visitor);
			for (int n = 0; n < rotations[i].count; n++)
				cr_assert(ticket_keys_rotate(keys, NULL));
			cr_assert_eq(visit(server, &visitor),
			    rotations[i].visited, "%s, %s", rotations[i].what,
			    link_versions[v].what);
			visitor_drop(&visitor);
		}
}

Test(ticket, of_an_old_key_is_replaced)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = visitor_of(v);

		(void)visit(server, &visitor);
		for (int n = 0; n < 6; n++) {
			cr_assert(ticket_keys_rotate(keys, NULL));
			cr_assert_eq(visit(server, &visitor), VISIT_RESUMED,
			    "%s, rotation %d", link_versions[v].what, n + 1);
		}
		visitor_drop(&visitor);
	}
}

static const struct {
	const char *what;
	int64_t later_ms;
	enum visited visited;
} ages[] = {
	{ "just young enough", 2 * HOUR_MS - 1, VISIT_RESUMED },
	{ "just too old", 2 * HOUR_MS, VISIT_FULL },
	{ "the clock set back a little", -1000, VISIT_RESUMED },
	{ "the clock set back far", -HOUR_MS, VISIT_FULL },
};

Test(ticket, is_too_old_after_its_lifetime)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++)
		for (size_t i = 0; i < 4; i++) {
			struct visitor visitor = visitor_of(v);

			(void)visit(server, &visitor);
			now_ms += ages[i].later_ms;
			cr_assert_eq(visit(server, &visitor), ages[i].visited,
			    "%s, %s", ages[i].what, link_versions[v].what);
			visitor_drop(&visitor);
		}
}

Test(ticket, keeps_its_time_when_renewed)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = visitor_of(v);

		(void)visit(server, &visitor);
		for (int n = 0; n < 3; n++) {
			now_ms += HOUR_MS / 2;
			/* so that TLS 1.2 renews it too */
			cr_assert(ticket_keys_rotate(keys, NULL));
			cr_assert_eq(visit(server, &visitor), VISIT_RESUMED);
		}
		now_ms += HOUR_MS / 2;
		cr_assert_eq(visit(server, &visitor), VISIT_FULL,
		    "%s: two hours since the full handshake",
		    link_versions[v].what);
		cr_assert_eq(visit(server, &visitor), VISIT_RESUMED,
		    "%s: that was a full one", link_versions[v].what);
		visitor_drop(&visitor);
	}
}

Test(ticket, has_the_remaining_lifetime)
{
	struct visitor visitor = { .version = TLS1_3_VERSION };
	static const struct {
		int64_t later_ms;
		unsigned long hint;
	} rows[] = { { 0, 7200 }, { HOUR_MS, 3600 }, { HOUR_MS - 500, 1 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		now_ms += rows[i].later_ms;
		cr_assert_eq(visit(server, &visitor),
		    i == 0 ? VISIT_FULL : VISIT_RESUMED);
		cr_assert_eq(
		    SSL_SESSION_get_ticket_lifetime_hint(visitor.session),
		    rows[i].hint, "after %lld ms", (long long)rows[i].later_ms);
	}
	visitor_drop(&visitor);
}

/* OpenSSL would send that of the listener. */
Test(ticket, has_the_lifetime_of_its_host)
{
	struct config_listener host = link_config();
	struct tls_server *both;

	host.pattern = "a.example";
	host.session_timeout_ms = 4 * HOUR_MS;
	settings.hosts = &host;
	settings.host_count = 1;
	both = link_server(&settings, PKI_P256, keys);
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = visitor_of(v);

		visitor.name = host.pattern;
		(void)visit(both, &visitor);
		cr_assert_eq(
		    SSL_SESSION_get_ticket_lifetime_hint(visitor.session),
		    4 * 3600, "%s", link_versions[v].what);
		now_ms += 3 * HOUR_MS;
		cr_assert_eq(visit(both, &visitor), VISIT_RESUMED, "%s",
		    link_versions[v].what);
		visitor_drop(&visitor);
	}
	tls_server_unref(both);
}

Test(ticket, is_not_sent_when_off)
{
	struct tls_server *off;

	settings.tickets = false;
	off = link_server(&settings, PKI_P256, keys);
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = visitor_of(v);

		cr_assert_eq(visit(off, &visitor), VISIT_FULL);
		cr_assert(visitor.session == NULL ||
			      !SSL_SESSION_has_ticket(visitor.session),
		    "%s", link_versions[v].what);
		cr_assert_eq(visit(off, &visitor), VISIT_FULL,
		    "%s: no resumption", link_versions[v].what);
		visitor_drop(&visitor);
	}
	tls_server_unref(off);
}

Test(ticket, keys_live_as_long_as_their_server)
{
	struct visitor visitor = { .version = TLS1_3_VERSION };

	ticket_keys_unref(keys);
	keys = NULL;
	cr_assert_eq(visit(server, &visitor), VISIT_FULL);
	cr_assert_eq(visit(server, &visitor), VISIT_RESUMED);
	visitor_drop(&visitor);
}

/* OpenSSL cannot encode 0 seconds. */
Test(ticket, of_no_lifetime_fails_no_handshake)
{
	struct tls_server *strict;

	settings.session_timeout_ms = 0;
	strict = link_server(&settings, PKI_P256, keys);
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = visitor_of(v);

		cr_assert_eq(visit(strict, &visitor), VISIT_FULL);
		cr_assert_eq(visit(strict, &visitor), VISIT_FULL, "%s",
		    link_versions[v].what);
		visitor_drop(&visitor);
	}
	tls_server_unref(strict);
}

/* Load a file of the keys with these seeds, a digit each; none: a key of
 * our own. */
static bool
load(struct ticket_keys *into, const char *seeds)
{
	struct pki_folder folder;
	char text[TICKET_KEYS_MAX * VISIT_LINE] = "", *path;
	struct err err;
	bool ok;

	if (*seeds == '\0')
		return ticket_keys_rotate(into, NULL);
	for (; *seeds != '\0'; seeds++)
		visit_key_line(text + strlen(text), (uint8_t)*seeds);
	pki_folder_make(&folder);
	path = pki_write(&folder, "keys", text);
	ok = ticket_keys_load(into, path, KEYS_ANY, NULL, &err);
	cr_assert_eq(ticket_keys_check(path, KEYS_ANY, NULL, &err), ok);
	free(path);
	pki_folder_remove(&folder);
	return ok;
}

static const struct {
	const char *what;
	const char *before;
	const char *after;
	enum visited visited;
} files[] = {
	{ "the same file", "1", "1", VISIT_RESUMED },
	{ "a new key in front", "1", "21", VISIT_RESUMED },
	{ "the last of eight", "1", "87654321", VISIT_RESUMED },
	{ "the next key behind", "1", "12", VISIT_RESUMED },
	{ "the first of two moved back", "12", "21", VISIT_RESUMED },
	{ "the old key is gone", "1", "2", VISIT_FULL },
	{ "the key that signed is gone", "12", "2", VISIT_FULL },
	{ "no file before", "", "1", VISIT_FULL },
	{ "a file that cannot be used", "1", "22", VISIT_RESUMED },
};

Test(ticket, is_decrypted_by_any_key_of_the_file)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct visitor visitor = visitor_of(v);

			cr_assert(load(keys, files[i].before));
			(void)visit(server, &visitor);
			(void)load(keys, files[i].after);
			cr_assert_eq(visit(server, &visitor), files[i].visited,
			    "%s, %s", files[i].what, link_versions[v].what);
			visitor_drop(&visitor);
		}
}

/* Its name is what a ticket begins with (RFC 5077 section 4). */
Test(ticket, is_encrypted_by_the_first_key_of_the_file)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = visitor_of(v);
		const unsigned char *ticket;
		size_t len;

		cr_assert(load(keys, "123"));
		for (int n = 0; n < 3; n++) {
			(void)visit(server, &visitor);
			SSL_SESSION_get0_ticket(visitor.session, &ticket, &len);
			cr_assert_geq(len, 16);
			cr_assert_eq(ticket[0], n == 0 ? '1' : '2', "%s, %d",
			    link_versions[v].what, n);
			cr_assert(load(keys, "21"));
		}
		visitor_drop(&visitor);
	}
}

/* RFC 5077 section 4: the IV follows the name.  Two equal ones under one key
 * would show which tickets begin alike. */
Test(ticket, has_an_iv_of_its_own)
{
	enum { NAME = 16, IV = 16 };

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		unsigned char before[IV] = { 0 };

		for (int n = 0; n < 3; n++) {
			struct visitor visitor = visitor_of(v);
			const unsigned char *ticket;
			size_t len;

			cr_assert_eq(visit(server, &visitor), VISIT_FULL);
			SSL_SESSION_get0_ticket(visitor.session, &ticket, &len);
			cr_assert_geq(len, NAME + IV);
			cr_assert_neq(memcmp(ticket + NAME, before, IV), 0,
			    "%s, %d", link_versions[v].what, n);
			memcpy(before, ticket + NAME, IV);
			visitor_drop(&visitor);
		}
	}
}

Test(ticket, works_on_every_machine_of_a_fleet)
{
	struct ticket_keys *others = ticket_keys_new(NULL);
	struct tls_server *other;

	ticket_keys_set_clock(others, fixture_now, &now_ms);
	other = link_server(&settings, PKI_P256, others);
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = visitor_of(v);

		cr_assert(ticket_keys_rotate(others, NULL));
		(void)visit(server, &visitor);
		cr_assert_eq(visit(other, &visitor), VISIT_FULL,
		    "%s: keys of their own", link_versions[v].what);
		cr_assert(load(keys, "12") && load(others, "12"));
		(void)visit(server, &visitor);
		cr_assert_eq(visit(other, &visitor), VISIT_RESUMED, "%s",
		    link_versions[v].what);
		cr_assert_eq(visit(server, &visitor), VISIT_RESUMED,
		    "%s: and back", link_versions[v].what);
		cr_assert(ticket_keys_rotate(keys, NULL));
		visitor_drop(&visitor);
	}
	tls_server_unref(other);
	ticket_keys_unref(others);
}

/* ---- Policies and resumption ---- */

TestSuite(resumption, .init = fixture_open, .fini = fixture_close);

/* ---- A reload with the same keys ---- */

struct change {
	const char *what;
	struct policy_row before;
	struct policy_row after;
	bool with_client; /* it has a certificate */
	enum visited visited;
};

static const struct change changes[] = {
	{ "nothing, no clients verified", { NONE }, { NONE }, false,
	    VISIT_RESUMED },
	{ "nothing, a required client", { REQUIRE }, { REQUIRE }, true,
	    VISIT_RESUMED },
	{ "nothing, an optional client", { OPTIONAL }, { OPTIONAL }, true,
	    VISIT_RESUMED },
	{ "nothing, optional, no certificate", { OPTIONAL }, { OPTIONAL },
	    false, VISIT_RESUMED },
	{ "nothing, with a list", { REQUIRE, .crl = "empty.crl" },
	    { REQUIRE, .crl = "empty.crl" }, true, VISIT_RESUMED },
	{ "nothing, allowed by SAN", { REQUIRE, .allow = "client.example" },
	    { REQUIRE, .allow = "client.example" }, true, VISIT_RESUMED },
	{ "nothing, allowed by CN", { REQUIRE, .cn = "client" },
	    { REQUIRE, .cn = "client" }, true, VISIT_RESUMED },

	{ "none to require, no certificate", { NONE }, { REQUIRE }, false,
	    VISIT_REFUSED },
	{ "none to require, with one", { NONE }, { REQUIRE }, true,
	    VISIT_FULL },
	{ "none to optional", { NONE }, { OPTIONAL }, false, VISIT_FULL },
	{ "optional to require, no certificate", { OPTIONAL }, { REQUIRE },
	    false, VISIT_REFUSED },
	{ "optional to require, with one", { OPTIONAL }, { REQUIRE }, true,
	    VISIT_FULL },
	{ "require to none", { REQUIRE }, { NONE }, true, VISIT_FULL },

	{ "another CA", { REQUIRE }, { REQUIRE, .ca = "other.pem" }, true,
	    VISIT_REFUSED },
	{ "one more CA", { REQUIRE }, { REQUIRE, .ca = "both.pem" }, true,
	    VISIT_FULL },
	{ "one CA less", { REQUIRE, .ca = "both.pem" },
	    { REQUIRE, .ca = "other.pem" }, true, VISIT_REFUSED },
	{ "another CA, optional", { OPTIONAL }, { OPTIONAL, .ca = "other.pem" },
	    true, VISIT_REFUSED },

	{ "a list that revokes", { REQUIRE, .crl = "empty.crl" },
	    { REQUIRE, .crl = "revoked.crl" }, true, VISIT_REFUSED },
	{ "a first list, that revokes", { REQUIRE },
	    { REQUIRE, .crl = "revoked.crl" }, true, VISIT_REFUSED },
	{ "a list that revokes, optional", { OPTIONAL, .crl = "empty.crl" },
	    { OPTIONAL, .crl = "revoked.crl" }, true, VISIT_REFUSED },
	{ "a first list of nobody", { REQUIRE },
	    { REQUIRE, .crl = "empty.crl" }, true, VISIT_FULL },

	{ "a SAN no longer allowed", { REQUIRE, .allow = "client.example" },
	    { REQUIRE, .allow = "dns:else.example" }, true, VISIT_REFUSED },
	{ "a first rule that excludes", { REQUIRE },
	    { REQUIRE, .allow = "dns:else.example" }, true, VISIT_REFUSED },
	{ "a SAN allowed otherwise", { REQUIRE, .allow = "client.example" },
	    { REQUIRE, .allow = "dns:*.example" }, true, VISIT_FULL },
	{ "a CN no longer allowed", { REQUIRE, .cn = "client" },
	    { REQUIRE, .cn = "else" }, true, VISIT_REFUSED },
	{ "optional, a SAN no longer allowed",
	    { OPTIONAL, .allow = "client.example" },
	    { OPTIONAL, .allow = "else.example" }, true, VISIT_REFUSED },

	{ "another listener, all else equal", { .listener = "a" },
	    { .listener = "b" }, false, VISIT_FULL },
	{ "another listener, a required client", { REQUIRE, .listener = "a" },
	    { REQUIRE, .listener = "b" }, true, VISIT_FULL },
	{ "other ciphers", { NONE }, { .ciphers = "ECDHE+AESGCM" }, false,
	    VISIT_FULL },
	{ "tickets no longer wanted", { NONE }, { .off = true }, false,
	    VISIT_FULL },
};

/* The first visits show that the ticket is good where it was given. */
static void
check_change(const struct change *change, size_t v)
{
	struct visitor visitor = fixture_visitor(
	    v, "a.example", change->with_client ? &fixture.client : NULL);
	struct policy_server before, after;
	enum visited visited;

	policy_server_open(&before, &change->before, 1);
	policy_server_open(&after, &change->after, 1);
	cr_assert_eq(visit(before.server, &visitor), VISIT_FULL, "%s, %s",
	    change->what, link_versions[v].what);
	cr_assert_eq(visit(before.server, &visitor), VISIT_RESUMED, "%s, %s",
	    change->what, link_versions[v].what);
	visited = visit(after.server, &visitor);
	cr_assert_eq(visited, change->visited, "%s, %s: %s", change->what,
	    link_versions[v].what, visit_names[visited]);
	visitor_drop(&visitor);
	policy_server_close(&before);
	policy_server_close(&after);
}

Test(resumption, survives_a_reload_only_if_nothing_changed)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++)
			check_change(&changes[i], v);
}

Test(resumption, survives_the_certificate_of_the_server)
{
	static const struct policy_row rule = { REQUIRE };

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = fixture_visitor(
		    v, "a.example", &fixture.client);
		struct policy_server before, after;

		policy_server_open(&before, &rule, 1);
		fixture_renew_server();
		policy_server_open(&after, &rule, 1);
		(void)visit(before.server, &visitor);
		cr_assert_eq(visit(after.server, &visitor), VISIT_RESUMED, "%s",
		    link_versions[v].what);
		visitor_drop(&visitor);
		policy_server_close(&before);
		policy_server_close(&after);
	}
}

/* ---- Time ---- */

static const struct {
	const char *what;
	struct policy_row rule;
	const struct pki *pair;
	enum visited visited;
} ends[] = {
	{ "nothing ends", { REQUIRE }, &fixture.client, VISIT_RESUMED },
	{ "the client's certificate", { REQUIRE }, &fixture.brief_client,
	    VISIT_FULL },
	{ "that of the client's CA", { REQUIRE, .ca = "brief.pem" },
	    &fixture.brief_ca_client, VISIT_FULL },
	{ "the certificate of an optional client", { OPTIONAL },
	    &fixture.brief_client, VISIT_FULL },
	{ "an optional client has none", { OPTIONAL }, NULL, VISIT_RESUMED },
	{ "a certificate that nobody asked for", { NONE },
	    &fixture.brief_client, VISIT_RESUMED },
	{ "the list", { REQUIRE, .crl = "brief.crl" }, &fixture.client,
	    VISIT_FULL },
	{ "a list that goes on", { REQUIRE, .crl = "empty.crl" },
	    &fixture.client, VISIT_RESUMED },
};

Test(resumption, ends_with_the_clients_certificate_or_crl)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct visitor visitor = fixture_visitor(
			    v, "a.example", ends[i].pair);
			struct policy_server policy_server;
			enum visited visited;

			fixture.now_ms = (FIXTURE_END_S - 60) * 1000;
			policy_server_open(&policy_server, &ends[i].rule, 1);
			cr_assert_eq(
			    visit(policy_server.server, &visitor), VISIT_FULL);
			fixture.now_ms += 30 * 1000;
			cr_assert_eq(visit(policy_server.server, &visitor),
			    VISIT_RESUMED, "%s, %s: too early", ends[i].what,
			    link_versions[v].what);
			fixture.now_ms += 60 * 1000;
			visited = visit(policy_server.server, &visitor);
			cr_assert_eq(visited, ends[i].visited, "%s, %s: %s",
			    ends[i].what, link_versions[v].what,
			    visit_names[visited]);
			visitor_drop(&visitor);
			policy_server_close(&policy_server);
		}
}

/* A client that resumes every half hour is verified every two hours. */
Test(resumption, never_extends_the_time_since_verification)
{
	static const struct policy_row rule = { REQUIRE };
	enum { HALF_HOUR_MS = 30 * 60 * 1000 };

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = fixture_visitor(
		    v, "a.example", &fixture.client);
		struct policy_server policy_server;

		policy_server_open(&policy_server, &rule, 1);
		for (int n = 0; n < 12; n++) {
			enum visited expected = n % 4 == 0 ? VISIT_FULL
							   : VISIT_RESUMED;

			cr_assert_eq(visit(policy_server.server, &visitor),
			    expected, "%s, visit %d", link_versions[v].what, n);
			/* so that TLS 1.2 renews its ticket too */
			cr_assert(ticket_keys_rotate(fixture.keys, NULL));
			fixture.now_ms += HALF_HOUR_MS;
		}
		visitor_drop(&visitor);
		policy_server_close(&policy_server);
	}
}

/* ---- Names and resumption ---- */

TestSuite(resumption_names, .init = fixture_open, .fini = fixture_close);

static const struct policy_row house[] = {
	{ NONE },
	{ NONE, .pattern = "open.example" },
	{ NONE, .pattern = "*.wild.example" },
	{ OPTIONAL, .pattern = "optional.example" },
	{ REQUIRE, .pattern = "closed.example" },
	{ REQUIRE, .pattern = "else.example", .ca = "other.pem" },
};

static const struct policy_row allowing[] = {
	{ REQUIRE, .allow = "client.example" },
	{ REQUIRE, .pattern = "same.example", .allow = "client.example" },
	{ REQUIRE, .pattern = "other.example", .allow = "else.example" },
	{ REQUIRE, .pattern = "revoked.example", .allow = "client.example",
	    .crl = "revoked.crl" },
	{ .pattern = "off.example", .off = true },
};

static const struct policy_row listener_off[] = {
	{ .off = true },
	{ .pattern = "on.example" },
};

#define RULES(array) array, sizeof(array) / sizeof(array[0])

static const struct walk {
	const char *what;
	const struct policy_row *rules;
	size_t count;
	const char *from; /* NULL: no server_name */
	const char *to;
	bool with_client;
	enum visited visited;
} walks[] = {
	{ "the same name", RULES(house), "open.example", "open.example", false,
	    VISIT_RESUMED },
	{ "the same in capitals", RULES(house), "open.example", "OPEN.example",
	    false, VISIT_RESUMED },
	{ "no name, twice", RULES(house), NULL, NULL, false, VISIT_RESUMED },
	{ "an unknown name, twice", RULES(house), "who.example", "who.example",
	    false, VISIT_RESUMED },
	{ "a name of a wildcard, twice", RULES(house), "a.wild.example",
	    "a.wild.example", false, VISIT_RESUMED },
	{ "a closed host, twice", RULES(house), "closed.example",
	    "closed.example", true, VISIT_RESUMED },
	{ "an optional host, twice", RULES(house), "optional.example",
	    "optional.example", false, VISIT_RESUMED },

	/* RFC 6066 section 3: one policy, other names */
	{ "two names of a wildcard", RULES(house), "a.wild.example",
	    "b.wild.example", false, VISIT_FULL },
	{ "two unknown names", RULES(house), "who.example", "what.example",
	    false, VISIT_FULL },
	{ "two hosts alike", RULES(house), "open.example", "a.wild.example",
	    false, VISIT_FULL },
	{ "no name, then one", RULES(house), NULL, "open.example", false,
	    VISIT_FULL },
	{ "no name, then an unknown one", RULES(house), NULL, "who.example",
	    false, VISIT_FULL },
	{ "a name, then none", RULES(house), "open.example", NULL, false,
	    VISIT_FULL },
	{ "a name with a longer one", RULES(house), "who.example",
	    "who.example.", false, VISIT_FULL },
	{ "a name that another begins with", RULES(house), "who.example.net",
	    "who.example", false, VISIT_FULL },
	{ "hosts alike, with a client", RULES(allowing), "same.example",
	    "who.example", true, VISIT_FULL },

	{ "open to closed, no certificate", RULES(house), "open.example",
	    "closed.example", false, VISIT_REFUSED },
	{ "open to closed, with one", RULES(house), "open.example",
	    "closed.example", true, VISIT_FULL },
	{ "no name to closed", RULES(house), NULL, "closed.example", false,
	    VISIT_REFUSED },
	{ "optional to closed, no certificate", RULES(house),
	    "optional.example", "closed.example", false, VISIT_REFUSED },
	{ "optional to closed, with one", RULES(house), "optional.example",
	    "closed.example", true, VISIT_FULL },
	{ "closed to one with another CA", RULES(house), "closed.example",
	    "else.example", true, VISIT_REFUSED },
	{ "closed to open", RULES(house), "closed.example", "open.example",
	    true, VISIT_FULL },
	{ "to one that allows others", RULES(allowing), "same.example",
	    "other.example", true, VISIT_REFUSED },
	{ "to one whose list revokes", RULES(allowing), "same.example",
	    "revoked.example", true, VISIT_REFUSED },

	{ "to one without tickets", RULES(allowing), "same.example",
	    "off.example", true, VISIT_FULL },
	{ "one without tickets, twice", RULES(allowing), "off.example",
	    "off.example", false, VISIT_FULL },
	{ "one with tickets, where its listener has none", RULES(listener_off),
	    "on.example", "on.example", false, VISIT_RESUMED },
	{ "a listener without tickets, twice", RULES(listener_off),
	    "who.example", "who.example", false, VISIT_FULL },
	{ "one with tickets, then its listener", RULES(listener_off),
	    "on.example", "who.example", false, VISIT_FULL },
};

Test(resumption_names, requires_the_sni_it_began_with)
{
	for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			const struct walk *walk = &walks[i];
			struct visitor visitor = fixture_visitor(v, walk->from,
			    walk->with_client ? &fixture.client : NULL);
			struct policy_server policy_server;
			enum visited visited;

			policy_server_open(
			    &policy_server, walk->rules, walk->count);
			cr_assert_eq(
			    visit(policy_server.server, &visitor), VISIT_FULL);
			visitor.name = walk->to;
			visited = visit(policy_server.server, &visitor);
			cr_assert_eq(visited, walk->visited, "%s, %s: %s",
			    walk->what, link_versions[v].what,
			    visit_names[visited]);
			visitor_drop(&visitor);
			policy_server_close(&policy_server);
		}
}

/* RFC 8446 section 4.1.4: the second ClientHello brings the ticket again. */
Test(resumption_names, works_after_a_hello_retry_request)
{
	struct visitor visitor = { .version = TLS1_3_VERSION,
		.name = "open.example",
		.groups = "P-521:P-256" };
	struct policy_server policy_server;

	policy_server_open(&policy_server, house, FIXTURE_SITES_MAX);
	cr_assert_eq(visit(policy_server.server, &visitor), VISIT_FULL);
	cr_assert_eq(visit(policy_server.server, &visitor), VISIT_RESUMED);
	visitor.name = "a.wild.example";
	cr_assert_eq(visit(policy_server.server, &visitor), VISIT_FULL);
	visitor.name = "closed.example";
	cr_assert_eq(visit(policy_server.server, &visitor), VISIT_REFUSED);
	visitor_drop(&visitor);
	policy_server_close(&policy_server);
}

/* ---- The key file ---- */

#define HOW "openssl rand 80 | openssl base64 -A"

/* For the rows: the base64 of 80 bytes, a whole line. */
#define A4 "QUFB"
#define A16 A4 A4 A4 A4
#define A96 A16 A16 A16 A16 A16 A16
#define KEY_A A96 A4 A4 "QUE=" /* 80 times 'A' */
#define B4 "QkJC"
#define B16 B4 B4 B4 B4
#define KEY_B B16 B16 B16 B16 B16 B16 B4 B4 "QkI=" /* 80 times 'B' */

static struct pki_folder folder;
static struct ticket_key_set file;
static struct err err, warning;

static void
set_up_file(void)
{
	pki_folder_make(&folder);
}

static void
tear_down_file(void)
{
	pki_folder_remove(&folder);
}

TestSuite(ticket_key_file, .init = set_up_file, .fini = tear_down_file);

static bool
read_text(
    const char *text, enum config_key_permissions permissions, unsigned mode)
{
	char *path = pki_write(&folder, "keys", text);
	bool ok;

	cr_assert_eq(chmod(path, mode), 0);
	err.text[0] = '\0';
	ok = ticket_key_set_read(&file, path, permissions, &warning, &err);
	free(path);
	return ok;
}

Test(ticket_key_file, separates_name_and_keys)
{
	unsigned char bytes[80];
	char text[VISIT_LINE];

	memset(bytes, 'n', 16);
	memset(bytes + 16, 'e', 32);
	memset(bytes + 48, 'm', 32);
	EVP_EncodeBlock((unsigned char *)text, bytes, sizeof(bytes));
	cr_assert(read_text(text, KEYS_ANY, 0600), "%s", err.text);
	cr_assert_eq(file.count, 1);
	cr_assert_eq(memcmp(file.keys[0].name, bytes, 16), 0);
	cr_assert_eq(memcmp(file.keys[0].aes, bytes + 16, 32), 0);
	cr_assert_eq(memcmp(file.keys[0].hmac, bytes + 48, 32), 0);
}

static const struct {
	const char *what;
	const char *text;
	size_t count;
} taken[] = {
	{ "one key", KEY_A "\n", 1 },
	{ "without a last line end", KEY_A, 1 },
	{ "two keys", KEY_A "\n" KEY_B "\n", 2 },
	{ "lines as Windows ends them", KEY_A "\r\n" KEY_B "\r\n", 2 },
	{ "comments", "# of May\n" KEY_A "\n  # of April\n" KEY_B "\n", 2 },
	{ "empty lines", "\n" KEY_A "\n\n \t\n\r\n" KEY_B "\n\n", 2 },
	{ "blanks around a key", " \t" KEY_A " \t\n", 1 },
};

Test(ticket_key_file, keeps_the_order_of_keys)
{
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		cr_assert(read_text(taken[i].text, KEYS_ANY, 0600), "%s: %s",
		    taken[i].what, err.text);
		cr_assert_eq(file.count, taken[i].count, "%s", taken[i].what);
		cr_assert_eq(file.keys[0].name[0], 'A', "%s", taken[i].what);
		cr_assert(taken[i].count == 1 || file.keys[1].hmac[31] == 'B',
		    "%s", taken[i].what);
	}
}

static const struct {
	const char *what;
	const char *text;
	const char *sentence; /* part of it */
} refused[] = {
	{ "an empty file", "", "is empty" },
	{ "comments alone", "# none yet\n",
	    "no ticket key; make one with: " HOW },
	{ "48 bytes", "# nginx\n" A16 A16 A16 A16 "\n",
	    "keys:2: a key of 48 bytes is for AES-128" },
	{ "48 bytes: what to do", A16 A16 A16 A16 "\n", HOW },
	{ "78 bytes", A96 A4 A4 "\n", "keys:1: a ticket key is a line" },
	{ "79 bytes", A96 A4 A4 "QQ==\n", "keys:1: a ticket key is a line" },
	{ "81 bytes", A96 A4 A4 A4 "\n", "keys:1: a ticket key is a line" },
	{ "a second line cut short", KEY_A "\n" A96 A4 A4 "QU\n",
	    "keys:2: a ticket key is a line" },
	{ "no base64", A96 A4 A4 "QU!=\n", HOW },
	{ "padding in the middle", A96 "QU==" A4 "QUE=\n", HOW },
	{ "padding alone", "====\n", HOW },
	{ "a blank in a key", A96 " UFB" A4 "QUE=\n", HOW },
	{ "two keys in a line", KEY_A KEY_B "\n", HOW },
	{ "words after a key", KEY_A " # of May\n", HOW },
	{ "a longer line than any key", A96 A96 A96 A96 "\n", HOW },
	{ "the same key twice", KEY_A "\n" KEY_B "\n" KEY_A "\n",
	    "keys:3: this key has the name" },
};

Test(ticket_key_file, refuses_malformed_keys)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		cr_assert_not(read_text(refused[i].text, KEYS_ANY, 0600), "%s",
		    refused[i].what);
		cr_assert_not_null(strstr(err.text, refused[i].sentence),
		    "%s: %s", refused[i].what, err.text);
		cr_assert_not_null(strstr(err.text, folder.path), "%s: %s",
		    refused[i].what, err.text);
		ticket_key_set_wipe(&file);
	}
}

static void
write_keys(char *text, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		visit_key_line(text + strlen(text), (uint8_t)(i + 1));
}

Test(ticket_key_file, accepts_eight_keys_and_not_nine)
{
	char text[(TICKET_KEYS_MAX + 1) * VISIT_LINE] = "";

	write_keys(text, TICKET_KEYS_MAX);
	cr_assert(read_text(text, KEYS_ANY, 0600), "%s", err.text);
	cr_assert_eq(file.count, TICKET_KEYS_MAX);
	visit_key_line(text + strlen(text), TICKET_KEYS_MAX + 1);
	cr_assert_not(read_text(text, KEYS_ANY, 0600));
	cr_assert_not_null(strstr(err.text, "keys:9: more than 8 ticket keys"),
	    "%s", err.text);
}

/* The format of nginx. */
Test(ticket_key_file, refuses_raw_bytes)
{
	unsigned char bytes[80] = { 0 };
	char *path = pki_write(&folder, "keys", "");
	FILE *out = fopen(path, "w");

	cr_assert_not_null(out);
	memset(bytes + 1, 0xf3, sizeof(bytes) - 1);
	cr_assert_eq(fwrite(bytes, sizeof(bytes), 1, out), 1);
	cr_assert_eq(fclose(out), 0);
	cr_assert_not(ticket_key_set_read(&file, path, KEYS_ANY, NULL, &err));
	cr_assert_not_null(strstr(err.text, "keys:1: "), "%s", err.text);
	cr_assert_not_null(strstr(err.text, HOW), "%s", err.text);
	free(path);
}

/* Opening a FIFO must not hang. */
Test(ticket_key_file, refuses_anything_but_a_regular_file, .timeout = 10)
{
	char path[96];

	cr_assert_not(
	    ticket_key_set_read(&file, folder.path, KEYS_ANY, NULL, &err));
	cr_assert_not_null(
	    strstr(err.text, "is a directory, not a file of ticket keys"));
	snprintf(path, sizeof(path), "%s/missing", folder.path);
	cr_assert_not(ticket_key_set_read(&file, path, KEYS_ANY, NULL, &err));
	cr_assert_not_null(strstr(err.text, "No such file"), "%s", err.text);
	snprintf(path, sizeof(path), "%s/pipe", folder.path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_not(ticket_key_set_read(&file, path, KEYS_ANY, NULL, &err));
	cr_assert_not_null(strstr(err.text, "not a regular file"));
}

static const struct {
	const char *what;
	enum config_key_permissions permissions;
	unsigned mode;
	bool ok;
	bool warns;
} modes[] = {
	{ "warn, for the group", KEYS_WARN, 0640, true, false },
	{ "warn, for everybody", KEYS_WARN, 0644, true, true },
	{ "refuse, for the group", KEYS_REFUSE, 0640, true, false },
	{ "refuse, for everybody", KEYS_REFUSE, 0644, false, false },
	{ "any, for everybody", KEYS_ANY, 0644, true, false },
};

Test(ticket_key_file, has_the_permissions_of_a_key)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		cr_assert_eq(
		    read_text(KEY_A, modes[i].permissions, modes[i].mode),
		    modes[i].ok, "%s: %s", modes[i].what, err.text);
		cr_assert_eq(warning.text[0] != '\0', modes[i].warns, "%s: %s",
		    modes[i].what, warning.text);
		cr_assert(
		    !modes[i].warns || strstr(warning.text, "chmod o=") != NULL,
		    "%s: %s", modes[i].what, warning.text);
		cr_assert(modes[i].ok || strstr(err.text, "chmod o=") != NULL,
		    "%s: %s", modes[i].what, err.text);
	}
}

Test(ticket_key_file, leaves_nothing_when_wiped)
{
	static const struct ticket_key_set nothing;

	cr_assert(read_text(KEY_A "\n" KEY_B "\n", KEYS_ANY, 0600));
	ticket_key_set_wipe(&file);
	cr_assert_eq(memcmp(&file, &nothing, sizeof(file)), 0);
}
