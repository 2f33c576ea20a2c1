/*
 * URLs of responders and of a proxy, read from good and bad text.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/value.h"

static const struct config_where here = { "t.ini", 1 };

Test(value_url, reads_urls_of_responders)
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
		{ "port 0", "http://o:0/", "port 0 cannot be asked" },
		{ "a large port", "http://o:65536/", "is not a port" },
		{ "IPv6 without brackets", "http://::1/", "in brackets" },
		{ "an open bracket", "http://[::1/", "must be written" },
		{ "no address", "http://[::g]/", "is not an IPv6 address" },
		{ "odd letters", "http://o_\xc3\xb6/", "nothing but ASCII" },
		{ "a blank", "http://o/a b", "holds no blanks" },
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
		struct value_place place = { NULL, &list, arena, &here };
		struct err err = { "" };

		cr_expect_eq(value_urls.read(&place, rows[i].given, &err),
		    rows[i].expect == NULL, "%s: %s", rows[i].what, err.text);
		cr_expect_not_null(
		    strstr(err.text, rows[i].expect ? rows[i].expect : ""),
		    "%s: %s", rows[i].what, err.text);
		cr_expect_null(strstr(err.text, "secret"), "%s", rows[i].what);
	}
	arena_free(arena);
}

Test(value_url, bounds_what_a_url_can_be)
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
		struct value_place place = { NULL, &list, arena, &here };
		char url[4096] = "http://";
		struct err err;

		memset(url + 7, 'a', rows[i].host);
		memset(url + 7 + rows[i].host, '/', rows[i].path);
		cr_expect_eq(value_urls.read(&place, url, &err), rows[i].expect,
		    "%s", rows[i].what);
	}
	arena_free(arena);
}

Test(value_url, tells_no_proxy_from_none_said)
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
		struct value_place place = { NULL, &proxy, arena, &here };
		struct err err;

		cr_expect_eq(value_proxy.read(&place, rows[i].given, &err),
		    rows[i].expect != NULL, "%s", rows[i].given);
		cr_expect(value_same_text(proxy, rows[i].expect), "%s",
		    rows[i].given);
	}
	arena_free(arena);
}
