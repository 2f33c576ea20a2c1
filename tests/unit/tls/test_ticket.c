/*
 * Tickets and their keys: that resumption works in both versions, that
 * rotation and files of keys bound it, and that its lifetime counts from the
 * first full handshake.  Time is the test's own.
 */
#include "tls/ticket.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/support/link.h"
#include "tests/support/visit.h"

enum { HOUR_MS = 3600 * 1000 };

static int64_t now_ms;
static struct ticket_keys *keys;
static struct config_listener settings;
static struct tls_server *server;

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

Test(ticket, keeps_its_birth_when_renewed)
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

Test(ticket, says_how_long_it_still_lasts)
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

/* The listener's is what OpenSSL would say. */
Test(ticket, lasts_as_long_as_its_host_says)
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

Test(ticket, is_not_given_when_off)
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

Test(ticket, keys_live_as_long_as_a_server_needs_them)
{
	struct visitor visitor = { .version = TLS1_3_VERSION };

	ticket_keys_unref(keys);
	keys = NULL;
	cr_assert_eq(visit(server, &visitor), VISIT_FULL);
	cr_assert_eq(visit(server, &visitor), VISIT_RESUMED);
	visitor_drop(&visitor);
}

/* OpenSSL cannot say 0 seconds. */
Test(ticket, of_no_lifetime_ends_no_handshake)
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

Test(ticket, is_opened_by_any_key_of_the_file)
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
Test(ticket, is_signed_by_the_first_key_of_the_file)
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

Test(ticket, goes_from_one_machine_of_a_fleet_to_another)
{
	struct ticket_keys *others = ticket_keys_new(NULL);
	struct tls_server *other;

	ticket_keys_set_clock(others, tell_time, &now_ms);
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
