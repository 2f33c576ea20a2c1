/* What is made of a responder's URL. */
#include "staple/fetch.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "staple/cert.h"

static const unsigned char der[] = { 0xfb, 0xef, 0xbe, 0xff };
#define ESCAPED "%2B%2B%2B%2B%2Fw%3D%3D"

static const struct url_row {
	const char *what, *given, *expect;
} url_rows[] = {
	{ "no path", "http://h", "http://h/" ESCAPED },
	{ "a slash", "http://h/", "http://h/" ESCAPED },
	{ "two slashes", "http://h//", "http://h/" ESCAPED },
	{ "a path", "http://h/ocsp", "http://h/ocsp/" ESCAPED },
	{ "a path with its slash", "http://h/ocsp/", "http://h/ocsp/" ESCAPED },
	{ "slashes inside", "http://h/a//b", "http://h/a//b/" ESCAPED },
	{ "a query", "http://h/a?b=/c/", "http://h/a/" ESCAPED "?b=/c/" },
	{ "a query of the root", "http://h?b", "http://h/" ESCAPED "?b" },
	{ "a fragment", "http://h/a#b?c", "http://h/a/" ESCAPED },
	{ "both", "http://h/a/?b#c", "http://h/a/" ESCAPED "?b" },
	{ "a port", "https://h:80", "https://h:80/" ESCAPED },
	{ "no host", "http://", "http:///" ESCAPED },
	{ "nothing", "", "/" ESCAPED },
};

Test(fetch_url, puts_the_request_behind_the_path)
{
	for (size_t i = 0; i < ARRAY_LEN(url_rows); i++) {
		const struct url_row *row = &url_rows[i];
		char *made = staple_fetch_get_url(row->given, der, sizeof(der));

		cr_assert_not_null(made, "%s", row->what);
		cr_expect_str_eq(made, row->expect, "%s", row->what);
		free(made);
	}
}

static const struct size_row {
	size_t len;
	const char *expect;
} size_rows[] = {
	{ 0, "http://h/" },
	{ 1, "http://h/%2Bw%3D%3D" },
	{ 2, "http://h/%2B%2B8%3D" },
	{ 3, "http://h/%2B%2B%2B%2B" },
};

Test(fetch_url, pads_as_base64_does)
{
	for (size_t i = 0; i < ARRAY_LEN(size_rows); i++) {
		char *made = staple_fetch_get_url(
		    "http://h", der, size_rows[i].len);

		cr_assert_not_null(made);
		cr_expect_str_eq(made, size_rows[i].expect);
		free(made);
	}
}

Test(fetch_url, refuses_what_no_request_can_be_as_long_as)
{
	cr_expect_null(staple_fetch_get_url("http://h", der, (size_t)INT_MAX));
}

static const struct host_row {
	const char *what, *given, *expect; /* NULL: not a URL */
} host_rows[] = {
	{ "http", "http://host/path", "host:80" },
	{ "https", "https://host/path", "host:443" },
	{ "a port", "http://host:8080/", "host:8080" },
	{ "an empty port", "http://host:/", "host:80" },
	{ "capitals", "HTTP://Host.Example", "host.example:80" },
	{ "no path but a query", "http://host?a:1", "host:80" },
	{ "IPv4", "http://127.0.0.1:1/", "127.0.0.1:1" },
	{ "IPv6", "http://[2001:DB8::1]/", "[2001:db8::1]:80" },
	{ "IPv6 and a port", "https://[::1]:8443", "[::1]:8443" },
	{ "a user", "http://user@host/", NULL },
	{ "another scheme", "ldap://host/", NULL },
	{ "no scheme", "host", NULL },
	{ "no host", "http:///a", NULL },
	{ "nothing", "", NULL },
};

Test(fetch_url, names_the_host_and_its_port)
{
	for (size_t i = 0; i < ARRAY_LEN(host_rows); i++) {
		const struct host_row *row = &host_rows[i];
		char host[32];
		bool found = staple_fetch_host(row->given, host, sizeof(host));

		cr_expect_eq(found, row->expect != NULL, "%s", row->what);
		if (found && row->expect != NULL)
			cr_expect_str_eq(host, row->expect, "%s", row->what);
	}
}

Test(fetch_url, gives_no_half_of_a_host)
{
	char host[8];

	cr_expect(staple_fetch_host("http://host/", host, 8), "just");
	cr_expect_not(staple_fetch_host("http://hosts/", host, 8), "one more");
}

Test(fetch_url, makes_urls_that_may_be_asked)
{
	char *made = staple_fetch_get_url("http://h/a?b", der, sizeof(der));
	const char *why;

	cr_assert_not_null(made);
	cr_expect(staple_url_check(made, strlen(made), &why));
	free(made);
}
