/*
 * The way to a responder: addresses, names, TLS and proxies; the addresses that
 * failed and the look-ups that were abandoned; the values of headers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/err.h>

#include "base/attr.h"
#include "staple/fetch.h"
#include "staple/http_client.h"
#include "tests/support/fetched.h"
#include "tests/support/names.h"
#include "tests/support/pki.h"
#include "tests/support/responder.h"

#define NOW 1000000

static struct addr
address(const char *text)
{
	struct addr addr;

	cr_assert(addr_parse(&addr, NULL, text, NULL), "%s", text);
	return addr;
}

static const struct row {
	const char *what, *text;
	int64_t at;
	bool failed;
} rows[] = {
	{ "at once", "127.0.0.2:80", NOW, true },
	{ "just before ten minutes", "127.0.0.2:80",
	    NOW + STAPLE_ADDRESS_MS - 1, true },
	{ "after ten minutes", "127.0.0.2:80", NOW + STAPLE_ADDRESS_MS, false },
	{ "another address", "127.0.0.3:80", NOW, false },
	{ "another port", "127.0.0.2:81", NOW, false },
	{ "an IPv6 address", "[::1]:80", NOW, true },
};

Test(addresses, counts_a_failure_for_ten_minutes)
{
	struct staple_addresses addresses = { 0 };
	struct addr v4 = address("127.0.0.2:80"), v6 = address("[::1]:80");

	staple_addresses_note(&addresses, &v4, false, NOW);
	staple_addresses_note(&addresses, &v6, false, NOW);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct addr addr = address(row->text);

		cr_expect_eq(
		    staple_addresses_failed(&addresses, &addr, row->at),
		    row->failed, "%s", row->what);
	}
}

Test(addresses, forgets_the_failures_of_one_that_works)
{
	struct staple_addresses addresses = { 0 };
	struct addr addr = address("127.0.0.2:80");

	staple_addresses_note(&addresses, &addr, true, NOW);
	staple_addresses_note(&addresses, &addr, false, NOW);
	staple_addresses_note(&addresses, &addr, true, NOW + 1);
	cr_expect_not(staple_addresses_failed(&addresses, &addr, NOW + 1));
}

Test(addresses, replaces_the_one_that_ends_first)
{
	struct staple_addresses addresses = { 0 };
	struct addr addr = address("127.0.0.2:1");

	for (uint16_t i = 0; i <= STAPLE_ADDRESSES_MAX; i++) {
		addr_set_port(&addr, i + 1);
		staple_addresses_note(&addresses, &addr, false, NOW + i);
	}
	for (uint16_t i = 0; i <= STAPLE_ADDRESSES_MAX; i++) {
		addr_set_port(&addr, i + 1);
		cr_expect_eq(staple_addresses_failed(&addresses, &addr, NOW),
		    i != 0, "port %u", i + 1);
	}
}

#define MAX STAPLE_LOOKUPS_MAX

static const struct lookup_row {
	const char *what;
	unsigned abandoned; /* one a millisecond, the first at NOW */
	int64_t at;
	bool may;
} lookup_rows[] = {
	{ "none", 0, NOW, true },
	{ "one fewer than too many", MAX - 1, NOW + MAX, true },
	{ "too many", MAX, NOW + MAX, false },
	{ "just before the first ends", MAX, NOW + STAPLE_LOOKUP_MS - 1,
	    false },
	{ "when the first ends", MAX, NOW + STAPLE_LOOKUP_MS, true },
	{ "one more, when the first ends", MAX + 1, NOW + STAPLE_LOOKUP_MS,
	    false },
	{ "one more, when the second ends", MAX + 1, NOW + STAPLE_LOOKUP_MS + 1,
	    true },
};

Test(lookups, counts_each_for_two_minutes)
{
	for (size_t i = 0; i < ARRAY_LEN(lookup_rows); i++) {
		const struct lookup_row *row = &lookup_rows[i];
		struct staple_lookups lookups = { 0 };
		char host[16];

		for (unsigned n = 0; n < row->abandoned; n++) {
			snprintf(host, sizeof(host), "%u:80", n);
			staple_lookups_abandon(&lookups, host, NOW + n);
		}
		cr_expect_eq(staple_lookups_may(&lookups, "new:80", row->at),
		    row->may, "%s", row->what);
	}
}

/* Rule 28 */
Test(lookups, leaves_room_for_others_than_one_host)
{
	struct staple_lookups lookups = { 0 };
	unsigned count = 0;

	for (; staple_lookups_may(&lookups, "hangs:80", NOW); count++)
		staple_lookups_abandon(&lookups, "hangs:80", NOW);
	cr_expect_eq(count, STAPLE_LOOKUPS_HOST_MAX);
	cr_expect(staple_lookups_may(&lookups, "good:80", NOW));
	cr_expect(
	    staple_lookups_may(&lookups, "hangs:80", NOW + STAPLE_LOOKUP_MS));
}

/* ---- Values of headers ---- */

#define NOW_S 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define DAY 86400

struct value_row {
	const char *what, *given;
	int64_t expect;
};

static const struct value_row retry_rows[] = {
	{ "seconds", "120", 120 },
	{ "zero", "0", 0 },
	{ "more than a day", "86401", DAY },
	{ "more than any number", "99999999999999999999999", DAY },
	{ "negative", "-5", 0 },
	{ "a unit", "120s", 0 },
	{ "nothing", "", 0 },
	{ "a word", "soon", 0 },
	{ "a date", "Sun, 06 Nov 1994 08:50:37 GMT", 60 },
	{ "a date of the past", "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
	{ "a date far off", "Sun, 06 Nov 2094 08:49:37 GMT", DAY },
};

Test(http, reads_when_to_try_again)
{
	for (size_t i = 0; i < ARRAY_LEN(retry_rows); i++) {
		const struct value_row *row = &retry_rows[i];

		cr_expect_eq(staple_http_retry_after(row->given, NOW_S),
		    row->expect, "%s", row->what);
	}
}

static const struct value_row age_rows[] = {
	{ "alone", "max-age=60", 60 },
	{ "among others", "public, max-age=60,must-revalidate", 60 },
	{ "capitals", "Max-Age=60", 60 },
	{ "quoted", "max-age=\"60\"", 60 },
	{ "behind a quoted comma", "x=\"a,max-age=5\", max-age=60", 60 },
	{ "behind a quoted quote", "x=\"\\\",max-age=5\", max-age=60", 60 },
	{ "the less of two", "max-age=60, max-age=50", 50 },
	{ "huge", "max-age=99999999999999999999", INT32_MAX },
	{ "no-cache", "no-cache", 0 },
	{ "no-store after max-age", "max-age=60, no-store", 0 },
	{ "no-cache of one field", "no-cache=\"x\", max-age=60", 60 },
	{ "of shared caches", "s-maxage=60", -1 },
	{ "a name that ends so", "xmax-age=60", -1 },
	{ "without a number", "max-age=", -1 },
	{ "half a quote", "max-age=\"", -1 },
	{ "negative", "max-age=-1", -1 },
	{ "commas", ",,,", -1 },
	{ "an open quote", "x=\"\\", -1 },
	{ "nothing", "", -1 },
};

Test(http, reads_how_long_an_answer_is_fresh)
{
	for (size_t i = 0; i < ARRAY_LEN(age_rows); i++) {
		const struct value_row *row = &age_rows[i];

		cr_expect_eq(staple_http_max_age(row->given), row->expect, "%s",
		    row->what);
	}
}

static const struct value_row expires_rows[] = {
	{ "IMF-fixdate", "Sun, 06 Nov 1994 08:49:38 GMT", 1 },
	{ "RFC 850", "Sunday, 06-Nov-94 08:49:38 GMT", 1 },
	{ "asctime", "Sun Nov  6 08:49:38 1994", 1 },
	{ "asctime, two digits", "Wed Nov 16 08:49:37 1994", 10 * DAY },
	{ "the past", "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
	{ "fifty years ahead", "Sunday, 06-Nov-44 08:49:37 GMT",
	    18263LL * DAY },
	{ "two digits of the past", "Sunday, 06-Nov-45 08:49:37 GMT", 0 },
	{ "another zone", "Sun, 06 Nov 1994 08:49:38 CET", -1 },
	{ "no such month", "Sun, 06 Nev 1994 08:49:38 GMT", -1 },
	{ "day 0", "Sun, 00 Nov 1994 08:49:38 GMT", -1 },
	{ "day 32", "Sun, 32 Nov 1994 08:49:38 GMT", -1 },
	{ "hour 24", "Sun, 06 Nov 1994 24:49:38 GMT", -1 },
	{ "minute 60", "Sun, 06 Nov 1994 08:60:38 GMT", -1 },
	{ "a leap second", "Sun, 06 Nov 1994 08:49:60 GMT", 23 },
	{ "cut short", "Sun, 06 Nov 1994 08:49", -1 },
	{ "something behind", "Sun, 06 Nov 1994 08:49:38 GMT!", -1 },
	{ "no day", ", 06 Nov 1994 08:49:38 GMT", -1 },
	{ "a number", "0", -1 },
	{ "nothing", "", -1 },
};

Test(http, reads_the_three_forms_of_a_date)
{
	for (size_t i = 0; i < ARRAY_LEN(expires_rows); i++) {
		const struct value_row *row = &expires_rows[i];

		cr_expect_eq(staple_http_expires(row->given, NOW_S),
		    row->expect, "%s", row->what);
	}
}

/* Of 1994, 75 is 1975. */
Test(http, reads_two_digits_of_a_year_as_of_now)
{
	static const int64_t in_2027 = 1800000000, in_2075 = 3340255777;

	cr_expect_eq(
	    staple_http_expires("Sunday, 06-Nov-75 08:49:37 GMT", in_2027),
	    in_2075 - in_2027);
	cr_expect_eq(
	    staple_http_expires("Sunday, 06-Nov-75 08:49:37 GMT", NOW_S), 0);
}

static const struct value_row old_rows[] = {
	{ "seconds", "7", 7 },
	{ "nothing", "", 0 },
	{ "negative", "-7", 0 },
	{ "a word", "old", 0 },
};

Test(http, reads_how_old_an_answer_is)
{
	for (size_t i = 0; i < ARRAY_LEN(old_rows); i++) {
		const struct value_row *row = &old_rows[i];

		cr_expect_eq(
		    staple_http_age(row->given), row->expect, "%s", row->what);
	}
}

static const struct value_row type_rows[] = {
	{ "the type", "application/ocsp-response", true },
	{ "in capitals", "Application/OCSP-Response", true },
	{ "with a parameter", "application/ocsp-response; q=1", true },
	{ "the request's", "application/ocsp-request", false },
	{ "a longer one", "application/ocsp-responses", false },
	{ "a page", "text/html", false },
	{ "nothing", "", false },
};

Test(http, recognises_the_type_of_a_response)
{
	for (size_t i = 0; i < ARRAY_LEN(type_rows); i++) {
		const struct value_row *row = &type_rows[i];

		cr_expect_eq(staple_http_is_ocsp(row->given), row->expect != 0,
		    "%s", row->what);
	}
}

#define GOOD "HTTP/1.1 200 OK\r\n\r\ngood"
#define SHORT 300 /* ms, where time must run out */
#define TRY 3333  /* ms, of one try with the default timeout */
#define LONG 8000 /* ms, where it must not */

static struct staple_fetcher *fetcher;
static struct responder *responder;
static struct staple_fetch_options options;

static const struct responder_act good = { .bytes = GOOD };
static const struct responder_act silent = {
	.bytes = "",
	.end = RESPONDER_HANGS,
};

static void
set_up(void)
{
	fetcher = fetched_fetcher(&options);
	responder = responder_start(NULL);
	responder_play(responder, &good, 1);
}

static void
tear_down(void)
{
	staple_fetcher_free(fetcher);
	responder_stop(responder);
	names_release();
}

TestSuite(fetch_connect, .init = set_up, .fini = tear_down);

static struct fetched
ask(const char *url, uint32_t timeout_ms)
{
	return fetched_run(
	    fetcher, &(struct staple_fetch_order){
			 .url = url, .get = true, .timeout_ms = timeout_ms });
}

/* Send a request to the responder under this scheme and name. */
static struct fetched
ask_as(const char *scheme, const char *host, uint32_t timeout_ms)
{
	char url[128];

	snprintf(url, sizeof(url), "%s://%s:%u/", scheme, host,
	    responder_port(responder));
	return ask(url, timeout_ms);
}

static void
expect(const struct fetched *got, enum staple_outcome outcome, const char *said)
{
	cr_expect_eq(got->result.outcome, outcome, "%s (%s)",
	    staple_outcome_name(got->result.outcome), got->said);
	cr_expect_not_null(strstr(got->said, said), "%s", got->said);
	cr_expect_eq(got->openssl, 0, "seen in the callback");
	cr_expect_eq(ERR_peek_error(), 0);
}

/* ---- Names and addresses ---- */

/* A port of 127.0.0.1 that is bound and not listening. */
static int
hold_port(char *url, size_t max)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
		  getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	snprintf(url, max, "http://127.0.0.1:%u/", ntohs(address.sin_port));
	return fd;
}

Test(fetch_connect, reports_connection_refused)
{
	char url[64];
	int held = hold_port(url, sizeof(url));
	struct fetched got = ask(url, LONG);

	expect(&got, STAPLE_CONNECTION_REFUSED, "connection refused");
	close(held);
}

Test(fetch_connect, reports_unreachable)
{
	struct fetched got = ask("http://255.255.255.255/", LONG);

	expect(&got, STAPLE_UNREACHABLE, "unreachable");
}

/* An address that drops SYNs: two connections fill the queue of its listener,
 * which accepts none. */
struct dead {
	int fds[3];
};

static struct dead
make_dead(const char *address, unsigned port)
{
	char service[8];
	struct addrinfo *found, hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	struct dead dead;

	snprintf(service, sizeof(service), "%u", port);
	cr_assert_eq(getaddrinfo(address, service, &hints, &found), 0);
	for (size_t i = 0; i < ARRAY_LEN(dead.fds); i++) {
		dead.fds[i] = socket(
		    found->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (i > 0)
			(void)connect(
			    dead.fds[i], found->ai_addr, found->ai_addrlen);
		else
			cr_assert(bind(dead.fds[0], found->ai_addr,
				      found->ai_addrlen) == 0 &&
				      listen(dead.fds[0], 0) == 0,
			    "%s: %s", address, strerror(errno));
	}
	freeaddrinfo(found);
	return dead;
}

static void
drop_dead(const struct dead *dead)
{
	for (size_t i = 0; i < ARRAY_LEN(dead->fds); i++)
		close(dead->fds[i]);
}

/* Only 127.0.0.1 is alive. */
static const struct many_row {
	const char *addresses;
	uint32_t timeout_ms;
	enum staple_outcome expect;
	const char *said;
} many_rows[] = {
	{ "127.0.0.1 127.0.0.2", TRY, STAPLE_GOOD, "HTTP 200" },
	{ "127.0.0.2 127.0.0.1", TRY, STAPLE_GOOD, "HTTP 200" },
	{ "127.0.0.2 127.0.0.3 127.0.0.1", TRY, STAPLE_GOOD, "HTTP 200" },
	{ "::1 127.0.0.1", TRY, STAPLE_GOOD, "HTTP 200" },
	{ "::1 127.0.0.2 127.0.0.1", TRY, STAPLE_GOOD, "HTTP 200" },
	{ "127.0.0.2", SHORT, STAPLE_TIMEOUT_CONNECT, " s connecting" },
	{ "127.0.0.2 127.0.0.3", SHORT, STAPLE_TIMEOUT_CONNECT,
	    " s connecting" },
	{ "::1 127.0.0.2", SHORT, STAPLE_TIMEOUT_CONNECT, " s connecting" },
};

static const char *const dead_addresses[] = { "127.0.0.2", "127.0.0.3", "::1" };
static struct dead dead[ARRAY_LEN(dead_addresses)];

static void
make_all_dead(void)
{
	for (size_t i = 0; i < ARRAY_LEN(dead); i++)
		dead[i] = make_dead(
		    dead_addresses[i], responder_port(responder));
}

static void
drop_all_dead(void)
{
	for (size_t i = 0; i < ARRAY_LEN(dead); i++)
		drop_dead(&dead[i]);
}

Test(fetch_connect, reaches_the_address_that_is_alive)
{
	make_all_dead();
	for (size_t i = 0; i < ARRAY_LEN(many_rows); i++) {
		const struct many_row *row = &many_rows[i];
		struct fetched got;

		staple_fetcher_free(fetcher); /* and what it remembers */
		fetcher = fetched_fetcher(&options);
		names_set(row->addresses);
		got = ask_as("http", "many.test", row->timeout_ms);
		cr_expect_eq(got.result.outcome, row->expect, "%s: %s",
		    row->addresses, got.said);
		expect(&got, row->expect, row->said);
	}
	drop_all_dead();
}

Test(fetch_connect, does_not_wait_twice_for_a_dead_address)
{
	struct fetched got;

	make_all_dead();
	names_set("127.0.0.2 127.0.0.1");
	got = ask_as("http", "many.test", TRY);
	got = ask_as("http", "many.test", TRY);
	expect(&got, STAPLE_GOOD, "HTTP 200");
	cr_expect_lt(got.result.took_ms, 1000, "%u", got.result.took_ms);
	drop_all_dead();
}

/* The kernel takes the connection and the request; nothing comes back. */
Test(fetch_connect, uses_another_address_after_one_that_is_silent)
{
	struct fetched got;

	dead[0] = make_dead("127.0.0.2", responder_port(responder));
	cr_assert_eq(listen(dead[0].fds[0], 16), 0);
	names_set("127.0.0.2 127.0.0.1");
	got = ask_as("http", "many.test", SHORT);
	expect(&got, STAPLE_TIMEOUT_HEADERS, "waiting for headers");
	got = ask_as("http", "many.test", LONG);
	expect(&got, STAPLE_GOOD, "HTTP 200");
	drop_dead(&dead[0]);
}

/* What failed before is refused now: it was tried. */
Test(fetch_connect, tries_all_addresses_when_all_have_failed)
{
	struct fetched got;

	make_all_dead();
	names_set("127.0.0.2 127.0.0.3");
	got = ask_as("http", "many.test", TRY);
	expect(&got, STAPLE_TIMEOUT_CONNECT, "connecting");
	drop_all_dead();
	got = ask_as("http", "many.test", LONG);
	expect(&got, STAPLE_CONNECTION_REFUSED, "connection refused");
	cr_expect_eq(names_asked(), 3);
}

/* With one address there is nothing to choose: one look-up is enough. */
Test(fetch_connect, looks_a_name_with_one_address_up_once)
{
	struct fetched got;

	dead[0] = make_dead("127.0.0.2", responder_port(responder));
	names_set("127.0.0.2");
	for (unsigned i = 1; i <= 2; i++) {
		got = ask_as("http", "many.test", SHORT);
		expect(&got, STAPLE_TIMEOUT_CONNECT, "connecting");
		cr_expect_eq(names_asked(), i);
	}
	drop_dead(&dead[0]);
}

Test(fetch_connect, reports_no_such_host)
{
	struct fetched got = ask("http://none.test/", LONG);

	expect(&got, STAPLE_NAME_NOT_FOUND, "no such host");
}

Test(fetch_connect, reports_a_timeout_of_the_name)
{
	struct fetched got = ask("http://hangs.test/", SHORT);

	expect(&got, STAPLE_NAME_TIMEOUT, "looking up the name");
}

/* The responder keeps the connection open and reads no second request on it. */
Test(fetch_connect, looks_the_name_up_anew_and_connects_anew)
{
	static const struct responder_act keeps = {
		.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
		.end = RESPONDER_HANGS,
	};

	responder_play(responder, &keeps, 1);
	for (unsigned i = 1; i <= 2; i++) {
		struct fetched got = ask_as("http", "here.test", LONG);

		expect(&got, STAPLE_GOOD, "HTTP 200");
		cr_expect_eq(names_asked(), i);
		cr_expect_eq(responder_connections(responder), i);
	}
}

/* ---- TLS ---- */

struct tls_case {
	const char *what;
	struct pki_wish wish;
	bool trusted;
	enum staple_outcome expect;
	const char *said;
};

static const struct tls_case tls_cases[] = {
	{ "a good certificate", { .name = "x", .san = "IP:127.0.0.1" }, true,
	    STAPLE_GOOD, "HTTP 200" },
	{ "of nobody we know", { .name = "x", .san = "IP:127.0.0.1" }, false,
	    STAPLE_TLS_FAILED, "TLS: " },
	{ "expired",
	    { .name = "x", .san = "IP:127.0.0.1", .to = "20210101000000Z" },
	    true, STAPLE_TLS_FAILED, "TLS: " },
	{ "of another host", { .name = "x", .san = "DNS:other.test" }, true,
	    STAPLE_TLS_FAILED, "TLS: " },
};

static SSL_CTX *
make_context(const struct pki *own)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	cr_assert(context != NULL &&
		  SSL_CTX_use_certificate(context, own->certificate) == 1 &&
		  SSL_CTX_use_PrivateKey(context, own->key) == 1);
	return context;
}

static struct pki
make_ca(const char *name)
{
	return pki_make(&(struct pki_wish){ .name = name, .ca = true });
}

static struct fetched
ask_tls(const struct pki_folder *folder, const struct tls_case *row)
{
	struct pki ca = make_ca("ca"), other = make_ca("other"), made;
	struct pki_wish wish = row->wish;
	char *pem = pki_certificate_pem(row->trusted ? &ca : &other);
	char *path = pki_write(folder, "ca.pem", pem);
	SSL_CTX *context;
	struct fetched got;

	wish.issuer = &ca;
	made = pki_make(&wish);
	context = make_context(&made);
	responder_stop(responder);
	responder = responder_start(context);
	responder_play(responder, &good, 1);
	options.ca_file = path;
	staple_fetcher_configure(fetcher, &options);
	got = ask_as("https", "127.0.0.1", LONG);
	SSL_CTX_free(context);
	free(path);
	free(pem);
	pki_drop(&made);
	pki_drop(&other);
	pki_drop(&ca);
	return got;
}

Test(fetch_connect, verifies_https_against_the_ca_file)
{
	struct pki_folder folder;

	pki_folder_make(&folder);
	for (size_t i = 0; i < ARRAY_LEN(tls_cases); i++) {
		const struct tls_case *row = &tls_cases[i];
		struct fetched got = ask_tls(&folder, row);

		expect(&got, row->expect, row->said);
	}
	pki_folder_remove(&folder);
}

Test(fetch_connect, names_the_file_that_is_no_ca_file)
{
	struct fetched got;

	options.ca_file = "/nowhere/ca.pem";
	staple_fetcher_configure(fetcher, &options);
	got = ask_as("https", "127.0.0.1", LONG);
	expect(&got, STAPLE_TLS_FAILED, "/nowhere/ca.pem");
}

Test(fetch_connect, reports_a_peer_without_tls)
{
	static const struct responder_act plain = { .bytes = GOOD,
		.unasked = true };
	struct fetched got;

	responder_play(responder, &plain, 1);
	got = ask_as("https", "127.0.0.1", LONG);
	expect(&got, STAPLE_TLS_FAILED, "TLS: ");
}

Test(fetch_connect, reports_a_timeout_of_the_tls_handshake)
{
	struct fetched got;

	responder_play(responder, &silent, 1);
	got = ask_as("https", "127.0.0.1", SHORT);
	expect(&got, STAPLE_TIMEOUT_CONNECT, " s setting up TLS");
}

Test(fetch_connect, leaves_no_error_of_openssl_when_cancelled)
{
	struct fetched gone = { 0 };
	struct staple_fetch *fetch;
	char url[64];

	responder_play(responder, &silent, 1);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/",
	    responder_port(responder));
	fetch = staple_fetch_start(fetcher,
	    &(struct staple_fetch_order){
		.url = url, .get = true, .timeout_ms = LONG },
	    fetched_keep, &gone);
	cr_assert_not_null(fetch);
	while (responder_connections(responder) == 0)
		staple_fetcher_turn(fetcher, 10);
	staple_fetcher_turn(fetcher, 10);
	staple_fetch_cancel(fetch);
	cr_expect_eq(ERR_peek_error(), 0);
}

static const struct responder_act proxy_good = {
	.bytes = "HTTP/1.1 200 OK\r\n\r\ngood",
};

static void
proxy_set_up(void)
{
	fetcher = fetched_fetcher(&options);
	responder = responder_start(NULL);
	responder_play(responder, &proxy_good, 1);
}

static void
proxy_tear_down(void)
{
	staple_fetcher_free(fetcher);
	responder_stop(responder);
}

TestSuite(fetch_proxy, .init = proxy_set_up, .fini = proxy_tear_down);

static void
proxy_expect(
    const struct fetched *got, enum staple_outcome outcome, const char *said)
{
	cr_expect_eq(got->result.outcome, outcome, "%s (%s)",
	    staple_outcome_name(got->result.outcome), got->said);
	cr_expect_not_null(strstr(got->said, said), "%s", got->said);
}

static void
use_proxy(const char *proxy)
{
	options.proxy = proxy;
	staple_fetcher_configure(fetcher, &options);
}

static bool
was_asked(const char *request_line)
{
	size_t len;
	char *request = responder_request(responder, 0, &len);
	bool was = request != NULL &&
		   strncmp(request, request_line, strlen(request_line)) == 0;

	free(request);
	return was;
}

Test(fetch_proxy, sends_all_requests_to_the_proxy)
{
	char *proxy = responder_url(responder, "");
	struct fetched got;

	setenv("no_proxy", "*", 1);
	use_proxy(proxy);
	got = ask("http://none.test/ocsp", LONG);
	proxy_expect(&got, STAPLE_GOOD, "HTTP 200");
	cr_expect(was_asked("GET http://none.test/ocsp HTTP/1.1\r\n"));
	cr_expect_eq(names_asked(), 0);
	free(proxy);
}

Test(fetch_proxy, uses_the_proxy_of_the_environment)
{
	char *proxy = responder_url(responder, "");
	struct fetched got;

	setenv("http_proxy", proxy, 1);
	use_proxy(NULL);
	got = ask("http://none.test/ocsp", LONG);
	proxy_expect(&got, STAPLE_GOOD, "HTTP 200");
	free(proxy);
}

Test(fetch_proxy, ignores_the_environment_if_configured)
{
	setenv("http_proxy", "http://none.test:1", 1);
	struct fetched got = ask_as("http", "127.0.0.1", LONG);

	proxy_expect(&got, STAPLE_GOOD, "HTTP 200");
}

Test(fetch_proxy, distinguishes_the_status_of_the_proxy)
{
	static const struct responder_act closed = {
		.bytes = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
	};
	char *proxy = responder_url(responder, "");
	struct fetched got;

	responder_play(responder, &closed, 1);
	use_proxy(proxy);
	got = ask("https://none.test/", LONG);
	proxy_expect(&got, STAPLE_PROXY_DENIED, "HTTP 403 from the proxy");
	free(proxy);
}

/* The status of CONNECT is not that of the response. */
Test(fetch_proxy, takes_no_response_of_the_proxy_for_an_answer)
{
	static const struct responder_act open = {
		.bytes = "HTTP/1.1 200 OK\r\nRetry-After: 5\r\n\r\n",
		.end = RESPONDER_HANGS,
	};
	char *proxy = responder_url(responder, "");
	struct fetched got;

	responder_play(responder, &open, 1);
	use_proxy(proxy);
	got = ask("https://none.test/", SHORT);
	proxy_expect(&got, STAPLE_TIMEOUT_CONNECT, "setting up TLS");
	cr_expect_eq(got.result.http_status, 0);
	free(proxy);
}

Test(fetch_proxy, bounds_the_response_of_a_proxy)
{
	static const struct responder_act endless = {
		.bytes = "HTTP/1.1 200 OK\r\nA: b\r\n",
		.repeat_from = 17,
		.end = RESPONDER_REPEATS,
	};
	char *proxy = responder_url(responder, "");
	struct fetched got;

	responder_play(responder, &endless, 1);
	use_proxy(proxy);
	got = ask("https://none.test/", LONG);
	proxy_expect(&got, STAPLE_TOO_LARGE, "larger than allowed");
	free(proxy);
}

Test(fetch_proxy, reports_an_unreachable_proxy)
{
	struct fetched got;

	use_proxy("http://none.test:3128");
	got = ask_as("http", "127.0.0.1", LONG);
	proxy_expect(&got, STAPLE_NAME_NOT_FOUND, "no such host: the proxy");
}
