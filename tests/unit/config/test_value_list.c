/*
 * The types of lists, and the proxy URL, read from valid and invalid text.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/value.h"

/* The place of all values: in the file conf/t.ini. */
static const struct config_where here = { "conf/t.ini", 1 };

Test(value_list, reads_backends)
{
	static const struct {
		const char *what, *given, *host;
		uint16_t port;
		bool good, fixed;
	} rows[] = {
		{ "a name", "a.example:80", "a.example", 80, true, false },
		{ "a bare port", "80", "localhost", 80, true, false },
		{ "IPv4", "127.0.0.1:80", "127.0.0.1", 80, true, true },
		{ "IPv6", "[::1]:80", "::1", 80, true, true },
		{ "a socket", "unix:/run/x", NULL, 0, true, true },
		{ "stunnel's socket", "/run/x", NULL, 0, true, true },
		{ "no port", "a.example", NULL, 0, false, false },
		{ "port 0", "a.example:0", NULL, 0, false, false },
		{ "any address", "*:80", NULL, 0, false, false },
		{ "no path", "unix:", NULL, 0, false, false },
		{ "an empty item", "80,,81", NULL, 0, false, false },
	};
	struct arena *arena = arena_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_connects list = { NULL, 0 };
		struct value_place place = {
			.field = &list, .arena = arena, .where = &here
		};
		struct err err;

		cr_assert_eq(
		    value_read(&value_connects, &place, rows[i].given, &err),
		    rows[i].good, "%s", rows[i].what);
		if (!rows[i].good)
			continue;
		cr_expect(value_same_text(list.items[0].host, rows[i].host) &&
			      list.items[0].port == rows[i].port &&
			      (list.items[0].fixed.len > 0) == rows[i].fixed,
		    "%s", rows[i].what);
	}
	arena_free(arena);
}

Test(value_list, reads_addresses_to_accept_on)
{
	static const struct {
		const char *what, *given, *expect;
		bool any;
	} rows[] = {
		{ "a bare port", "443", "[::]:443", true },
		{ "IPv4", "0.0.0.0:443", "0.0.0.0:443", false },
		{ "IPv6", "[::1]:443", "[::1]:443", false },
		{ "stunnel's IPv6", ":::443", "[::]:443", false },
		{ "a socket", "unix:x", "unix:conf/x", false },
		{ "bare IPv6", "::1:443", "[::1]:443", false },
		{ "all of bare IPv6", "2001:db8:0:0:0:0:0:1:443",
		    "[2001:db8::1]:443", false },
		{ "a service", "127.0.0.1:https", "127.0.0.1:443", false },
		{ "a service alone", "imaps", "[::]:993", true },
		{ "bare IPv6 and a service", "::1:https-alt", "[::1]:8443",
		    false },
		{ "brackets and a service", "[::1]:LDAPS", "[::1]:636", false },
		{ "localhost", "localhost:443", "127.0.0.1:443", false },
		{ "localhost and a service", "LocalHost:https", "127.0.0.1:443",
		    false },
		{ "another name", "host:443", NULL, false },
		{ "no service", "127.0.0.1:nosuch", NULL, false },
		{ "IPv6 without a port", "2001:db8::1", NULL, false },
		{ "nothing", ",", NULL, false },
	};
	struct arena *arena = arena_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_accepts list = { NULL, 0 };
		struct value_place place = {
			.field = &list, .arena = arena, .where = &here
		};
		char text[ADDR_TEXT_MAX];
		struct err err;
		bool read = value_read(
		    &value_accepts, &place, rows[i].given, &err);

		cr_assert_eq(read, rows[i].expect != NULL, "%s", rows[i].what);
		if (!read)
			continue;
		addr_print(&list.items[0].addr, text, sizeof(text));
		cr_expect_str_eq(text, rows[i].expect, "%s", rows[i].what);
		cr_expect_eq(
		    list.items[0].any_family, rows[i].any, "%s", rows[i].what);
	}
	arena_free(arena);
}

Test(value_list, splits_lists_at_commas)
{
	struct arena *arena = arena_new();
	struct config_strings list = { NULL, 0 };
	struct value_place place = {
		.field = &list, .arena = arena, .where = &here
	};
	struct err err;

	cr_expect(value_read(&value_strings, &place, "h2 ,http/1.1", &err));
	cr_expect(value_read(&value_strings, &place, "x", &err));
	cr_assert_eq(list.count, 3);
	cr_expect_str_eq(list.items[0], "h2");
	cr_expect_str_eq(list.items[1], "http/1.1");
	cr_expect_str_eq(list.items[2], "x");
	cr_expect_not(value_read(&value_strings, &place, "h2,", &err));
	arena_free(arena);
}

Test(value_list, reads_urls_of_responders)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "a name", "http://ocsp.example/", NULL },
		{ "capitals", "HTTP://OCSP.EXAMPLE", NULL },
		{ "a port and a path", "https://o.example:8080/a/b?c=d", NULL },
		{ "IPv4", "http://127.0.0.1:1", NULL },
		{ "IPv6", "http://[::1]/x", NULL },
		{ "IPv6 with a port", "http://[2001:db8::1]:80/", NULL },
		{ "an at in the path", "http://o/@", NULL },
		{ "no scheme", "ocsp.example/", "does not begin with http" },
		{ "another scheme", "ldap://o/", "does not begin with http" },
		{ "a slash too few", "http:/o/", "does not begin with http" },
		{ "no host", "http:///x", "no host in front" },
		{ "a port alone", "http://:80/", "no host in front" },
		{ "no port behind the colon", "http://o:/", "is not a port" },
		{ "port 0", "http://o:0/", "port 0 is not valid" },
		{ "a large port", "http://o:65536/", "is not a port" },
		{ "IPv6 without brackets", "http://::1/", "in brackets" },
		{ "an open bracket", "http://[::1/", "must be written" },
		{ "no address", "http://[::g]/", "is not an IPv6 address" },
		{ "odd letters", "http://o_\xc3\xb6/", "ASCII without blanks" },
		{ "a blank", "http://o/a b", "ASCII without blanks" },
		{ "a password", "http://u:secret@o/", "leave out the user" },
		{ "an empty item", "http://o/,", "empty item" },
		{ "more than are asked",
		    "http://1,http://2,http://3,http://4,http://5,http://6,"
		    "http://7,http://8,http://9",
		    "more than 8 items" },
	};
	struct arena *arena = arena_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_strings list = { NULL, 0 };
		struct value_place place = {
			.field = &list, .arena = arena, .where = &here
		};
		struct err err = { "" };

		cr_expect_eq(
		    value_read(&value_urls, &place, rows[i].given, &err),
		    rows[i].expect == NULL, "%s: %s", rows[i].what, err.text);
		cr_expect_not_null(
		    strstr(err.text, rows[i].expect ? rows[i].expect : ""),
		    "%s: %s", rows[i].what, err.text);
		cr_expect_null(strstr(err.text, "secret"), "%s", rows[i].what);
	}
	arena_free(arena);
}

Test(value_list, bounds_what_a_url_can_be)
{
	static const struct {
		const char *what;
		size_t host, path;
		bool expect;
	} rows[] = {
		{ "the longest", 253, 2048 - 253 - 7, true },
		{ "a path too long", 253, 2049 - 253 - 7, false },
		{ "a host too long", 254, 0, false },
		{ "a host much too long", 2000, 0, false },
	};
	struct arena *arena = arena_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_strings list = { NULL, 0 };
		struct value_place place = {
			.field = &list, .arena = arena, .where = &here
		};
		char url[4096] = "http://";
		struct err err;

		memset(url + 7, 'a', rows[i].host);
		memset(url + 7 + rows[i].host, '/', rows[i].path);
		cr_expect_eq(value_read(&value_urls, &place, url, &err),
		    rows[i].expect, "%s", rows[i].what);
	}
	arena_free(arena);
}

Test(value_list, distinguishes_no_proxy_from_an_unset_one)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "http://proxy.example:3128", "http://proxy.example:3128" },
		{ "NONE", "" },
		{ "proxy.example:3128", NULL },
		{ "http://user@proxy.example:3128", NULL },
	};
	struct arena *arena = arena_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *proxy = NULL;
		struct value_place place = {
			.field = &proxy, .arena = arena, .where = &here
		};
		struct err err;

		cr_expect_eq(
		    value_read(&value_proxy, &place, rows[i].given, &err),
		    rows[i].expect != NULL, "%s", rows[i].given);
		cr_expect(value_same_text(proxy, rows[i].expect), "%s",
		    rows[i].given);
	}
	arena_free(arena);
}
