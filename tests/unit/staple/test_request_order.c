/* The order of the request variants, for every outcome. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/attr.h"
#include "staple/request_order.h"

#define TRIES_MAX (4 * STAPLE_URLS_MAX)

#define AUTO STAPLE_METHOD_AUTO
#define POST STAPLE_METHOD_POST
#define GET STAPLE_METHOD_GET

static unsigned char request[STAPLE_HASHES][200];
static char usual_url[] = "http://ocsp.example";
static char other_url[] = "http://ocsp.example:80/other";
static char far_url[] = "http://far.example";
static char *urls[STAPLE_URLS_MAX];
static struct staple_cert cert;

static void
set_up(void)
{
	for (size_t i = 0; i < STAPLE_URLS_MAX; i++)
		urls[i] = i == 0 ? usual_url : i == 1 ? other_url : far_url;
	cert = (struct staple_cert){ .urls = urls };
	for (int hash = 0; hash < STAPLE_HASHES; hash++)
		cert.requests[hash] = (struct staple_request){ request[hash],
			84 };
	memset(request, 0, sizeof(request));
}

TestSuite(request_order, .init = set_up);

static struct staple_request_variant
parse(const char *text)
{
	return (struct staple_request_variant){ .url = (size_t)(text[0] - '0'),
		.get = text[1] == 'G',
		.hash = text[2] == '1' ? STAPLE_SHA1 : STAPLE_SHA256 };
}

/* Append it. */
static void
print(char *text, const struct staple_request_variant *variant)
{
	sprintf(text + strlen(text), "%s%zu%c%c", *text == '\0' ? "" : " ",
	    variant->url, variant->get ? 'G' : 'P',
	    variant->hash == STAPLE_SHA1 ? '1' : '2');
}

/* One letter for how a try ends; all that matters is the class. */
static enum staple_outcome
outcome(char letter)
{
	switch (letter) {
	case 'm':
		return STAPLE_HTTP_5XX;
	case 'h':
		return STAPLE_UNAUTHORIZED;
	case 'k':
		return STAPLE_UNKNOWN;
	case 'w': /* with Retry-After */
		return STAPLE_HTTP_5XX;
	case 'e':
		return STAPLE_EXPIRED;
	case 'u':
		return STAPLE_CONNECTION_REFUSED;
	case 'r':
		return STAPLE_REVOKED;
	default:
		return STAPLE_GOOD;
	}
}

/* How an order is begun. */
struct order_start {
	enum staple_method method;
	bool no_cache;
	const struct staple_request_variant *worked, *confirm; /* NULL: none */
	bool in_vain;
};

static void
begin(struct staple_request_order *order, const struct order_start *start)
{
	staple_request_order_begin(
	    order, &cert, start->method, start->no_cache);
	if (start->worked != NULL)
		staple_request_order_prefer(order, start->worked);
	if (start->confirm != NULL)
		staple_request_order_confirm(
		    order, start->confirm, start->in_vain);
}

/* Every variant of an attempt; `ends` has the outcome of each, the last one for
 * all that follow. */
static void
play(const struct order_start *start, const char *ends, char *tries)
{
	enum staple_outcome last = STAPLE_UNASKED;
	struct staple_request_order order;
	struct staple_request_variant variant;
	size_t count = 0;

	*tries = '\0';
	begin(&order, start);
	while (staple_request_order_next(&order, last, &variant)) {
		cr_assert_lt(count++, TRIES_MAX, "without end: %s", tries);
		print(tries, &variant);
		if (variant.no_cache)
			strcat(tries, "!");
		if (*ends == 'w')
			staple_request_order_skip_host(&order);
		last = outcome(*ends);
		ends += ends[1] != '\0';
	}
}

static const struct order_row {
	const char *what;
	size_t url_count;
	const char *worked, *confirm; /* NULL: none */
	enum staple_method method;
	const char *ends, *expect;
} order_rows[] = {
	{ "nobody to ask", 0, NULL, NULL, POST, "m", "" },
	{ "an answer ends it", 2, NULL, NULL, POST, "g", "0P1" },
	{ "so does revoked", 2, NULL, NULL, POST, "r", "0P1" },
	{ "an HTTP reason: the other method", 1, NULL, NULL, POST, "m",
	    "0P1 0G1" },
	{ "at every URL", 3, NULL, NULL, POST, "m", "0P1 0G1 1P1 1G1 2P1 2G1" },
	{ "GET did it", 2, NULL, NULL, POST, "mg", "0P1 0G1" },
	{ "unauthorized: the other hash", 2, NULL, NULL, POST, "h",
	    "0P1 0P2 1P1 1P2" },
	{ "unknown: the other hash", 1, NULL, NULL, POST, "k", "0P1 0P2" },
	{ "the other hash did it", 2, NULL, NULL, POST, "hg", "0P1 0P2" },
	{ "dead: the next URL", 3, NULL, NULL, POST, "u", "0P1 1P1 2P1" },
	{ "dead, then good", 3, NULL, NULL, POST, "ug", "0P1 1P1" },
	{ "no GET of a dead URL after its other hash", 1, NULL, NULL, POST,
	    "hu", "0P1 0P2" },
	{ "the other hash fails for an HTTP reason", 1, NULL, NULL, POST, "hm",
	    "0P1 0P2 0G2" },
	{ "GET is unauthorized", 1, NULL, NULL, POST, "mh", "0P1 0G1 0G2" },
	{ "and then fails for an HTTP reason", 1, NULL, NULL, POST, "mhm",
	    "0P1 0G1 0G2 0P2" },
	{ "auto: GET first", 2, NULL, NULL, AUTO, "m", "0G1 0P1 1G1 1P1" },
	{ "auto: the other hash by GET", 1, NULL, NULL, AUTO, "h", "0G1 0G2" },
	{ "auto: what worked was POST", 1, "0P1", NULL, AUTO, "m", "0P1 0G1" },
	{ "get", 1, NULL, NULL, GET, "m", "0G1 0P1" },
	{ "expired: once more", 2, NULL, NULL, AUTO, "e", "0G1 0G1! 1G1 1G1!" },
	{ "expired: once more by POST", 1, NULL, NULL, POST, "e", "0P1 0P1!" },
	{ "expired: the other one is fresh", 2, NULL, NULL, AUTO, "eg",
	    "0G1 0G1!" },
	{ "expired, then an HTTP reason", 1, NULL, NULL, AUTO, "em",
	    "0G1 0G1! 0P1" },
	{ "Retry-After: the next host", 3, NULL, NULL, AUTO, "w", "0G1 2G1" },
	{ "Retry-After after another method", 2, NULL, NULL, AUTO, "mw",
	    "0G1 0P1" },
	{ "Retry-After after another hash", 1, NULL, NULL, AUTO, "hw",
	    "0G1 0G2" },

	{ "what worked comes first", 3, "1P1", NULL, POST, "m",
	    "1P1 1G1 0P1 0G1 2P1 2G1" },
	{ "with its method", 2, "1G1", NULL, POST, "m", "1G1 1P1 0P1 0G1" },
	{ "with its hash", 2, "0P2", NULL, POST, "h", "0P2 0P1 1P1 1P2" },
	{ "it works again", 3, "2G2", NULL, POST, "g", "2G2" },
	{ "it is dead", 3, "1G2", NULL, POST, "u", "1G2 0P1 2P1" },
	{ "its URL is no more", 1, "1P1", NULL, POST, "u", "0P1" },

	{ "confirming: another URL first", 2, NULL, "0P1", POST, "r", "1P1" },
	{ "whatever worked", 2, "0P1", "0P1", POST, "r", "1P1" },
	{ "it fails: the same with the other method", 2, NULL, "0P1", POST, "u",
	    "1P1 0G1" },
	{ "every other URL, both methods", 3, NULL, "1P1", POST, "m",
	    "0P1 0G1 2P1 2G1 1G1" },
	{ "one URL: the other method", 1, NULL, "0P1", POST, "r", "0G1" },
	{ "GET is confirmed by POST", 1, NULL, "0G2", POST, "r", "0P2" },
	{ "nothing confirms it", 1, NULL, "0P1", POST, "u", "0G1" },
	{ "never the very try", 1, NULL, "0P1", POST, "m", "0G1" },
	{ "nor by way of the other hash", 1, NULL, "0P1", POST, "hmh",
	    "0G1 0G2 0P2" },
	{ "auto: GET is confirmed by POST", 1, NULL, "0G1", AUTO, "r", "0P1" },
	{ "auto: another URL by GET", 2, NULL, "0G1", AUTO, "u", "1G1 0P1" },
	{ "Retry-After: not the other method of that host", 2, NULL, "0P1",
	    POST, "w", "1P1" },
	{ "the URL that said so is no more", 1, NULL, "1P1", POST, "u", "0P1" },
};

Test(request_order, has_the_order_of_what_may_succeed)
{
	char tries[TRIES_MAX * 5 + 1];

	for (size_t i = 0; i < ARRAY_LEN(order_rows); i++) {
		const struct order_row *row = &order_rows[i];
		struct order_start start = { .method = row->method };
		struct staple_request_variant worked, confirm;

		if (row->worked != NULL) {
			worked = parse(row->worked);
			start.worked = &worked;
		}
		if (row->confirm != NULL) {
			confirm = parse(row->confirm);
			start.confirm = &confirm;
		}
		cert.url_count = row->url_count;
		play(&start, row->ends, tries);
		cr_expect_str_eq(tries, row->expect, "%s", row->what);
	}
}

static const struct vain_row {
	const char *what;
	size_t url_count;
	const char *confirm, *ends, *expect;
} vain_rows[] = {
	{ "everybody else before", 2, "0P1", "u", "1P1 0P1" },
	{ "nobody else is there", 1, "0G2", "r", "0G2" },
	{ "and from there as ever", 1, "0P1", "m", "0P1 0G1" },
};

Test(request_order, repeats_at_last_what_was_not_confirmed_before)
{
	char tries[TRIES_MAX * 5 + 1];

	for (size_t i = 0; i < ARRAY_LEN(vain_rows); i++) {
		const struct vain_row *row = &vain_rows[i];
		const struct staple_request_variant confirm = parse(
		    row->confirm);
		const struct order_start start = {
			.method = POST, .confirm = &confirm, .in_vain = true
		};

		cert.url_count = row->url_count;
		play(&start, row->ends, tries);
		cr_expect_str_eq(tries, row->expect, "%s", row->what);
	}
}

static void
expect_no_repetition(const char *tries)
{
	char one[8];

	for (const char *at = tries; *at != '\0'; at += 3) {
		at += *at == ' ';
		snprintf(one, sizeof(one), "%.3s", at);
		cr_expect_null(strstr(at + 3, one), "%s", tries);
	}
}

/* Any start and any six endings: bounded, and no try twice. */
Test(request_order, makes_no_try_twice)
{
	char tries[TRIES_MAX * 5 + 1], ends[7] = "", one[8];

	cert.url_count = 3;
	for (unsigned n = 0; n < 729 * 24; n++) {
		struct staple_request_variant known = { n % 3, n / 3 % 2,
			n / 6 % 2 ? STAPLE_SHA256 : STAPLE_SHA1, false };
		struct order_start start = { .method = POST,
			.worked = &known,
			.confirm = n / 12 % 2 ? &known : NULL,
			.in_vain = n % 5 == 0 };

		for (unsigned i = 0, rest = n / 24; i < 6; i++, rest /= 3)
			ends[i] = "mhu"[rest % 3];
		play(&start, ends, tries);
		expect_no_repetition(tries);
		*one = '\0';
		print(one, &known);
		if (start.confirm != NULL && !start.in_vain)
			cr_expect_null(strstr(tries, one), "%s", tries);
	}
}

static const struct length_row {
	const char *what;
	size_t url_len, request_len;
	unsigned char byte; /* of which the request consists */
	bool get;
	bool slash; /* ends the URL; none is added then */
} length_rows[] = {
	/* 84 bytes of zeros are 112 of base64. */
	{ "a usual one", 24, 84, 0, true, false },
	{ "255 bytes", 255 - 112 - 1, 84, 0, true, false },
	{ "256 bytes", 255 - 112, 84, 0, false, false },
	{ "255 bytes, a slash among them", 255 - 112, 84, 0, true, true },
	{ "256 bytes, a slash among them", 256 - 112, 84, 0, false, true },
	{ "escapes count", 40, 84, 0xff, false, false },
	{ "a longer request", 24, 120, 0, true, false },
	{ "too long a request", 10, 184, 0, false, false },
	{ "no room for any URL", 10, 200, 0, false, false },
};

Test(request_order, begins_with_get_where_that_is_short)
{
	static const struct order_start start = { 0 };

	cert.url_count = 1;
	for (size_t i = 0; i < ARRAY_LEN(length_rows); i++) {
		const struct length_row *row = &length_rows[i];
		struct staple_request_order order;
		struct staple_request_variant variant;
		char url[256] = "";

		memset(url, 'a', row->url_len);
		if (row->slash)
			url[row->url_len - 1] = '/';
		urls[0] = url;
		memset(request, row->byte, sizeof(request));
		cert.requests[STAPLE_SHA1].len = row->request_len;
		begin(&order, &start);
		cr_expect(staple_request_order_next(
		    &order, STAPLE_UNASKED, &variant));
		cr_expect_eq(variant.get, row->get, "%s", row->what);
	}
}

/* A SHA-256 id makes a request longer. */
Test(request_order, turns_to_post_where_the_other_hash_is_too_long_for_get)
{
	static const struct order_start start = { 0 };
	char tries[TRIES_MAX * 5 + 1];

	cert.url_count = 1;
	cert.requests[STAPLE_SHA256].len = 184;
	play(&start, "h", tries);
	cr_expect_str_eq(tries, "0G1 0P2");
}

static const struct forced_row {
	enum staple_method method;
	const char *expect;
} forced_rows[] = {
	{ AUTO, "0P1 0G1" },
	{ POST, "0P1 0G1" },
	{ GET, "0G1 0P1" },
};

Test(request_order, begins_with_a_forced_method_whatever_the_length)
{
	char tries[TRIES_MAX * 5 + 1];

	cert.url_count = 1;
	cert.requests[STAPLE_SHA1].len = 200;
	for (size_t i = 0; i < ARRAY_LEN(forced_rows); i++) {
		const struct order_start start = {
			.method = forced_rows[i].method
		};

		play(&start, "m", tries);
		cr_expect_str_eq(tries, forced_rows[i].expect);
	}
}

Test(request_order, bypasses_caches_from_the_start_after_an_old_answer)
{
	static const struct order_start start = { .no_cache = true };
	char tries[TRIES_MAX * 5 + 1];

	cert.url_count = 3;
	play(&start, "eum", tries);
	cr_expect_str_eq(tries, "0G1! 1G1! 2G1! 2P1!");
}

/* GET is what is left when a POST was refused, however long its URL. */
Test(request_order, turns_to_get_whatever_the_length)
{
	static const struct order_start start = { 0 };
	char tries[TRIES_MAX * 5 + 1];

	cert.url_count = 1;
	cert.requests[STAPLE_SHA1].len = 200;
	play(&start, "m", tries);
	cr_expect_str_eq(tries, "0P1 0G1");
}
