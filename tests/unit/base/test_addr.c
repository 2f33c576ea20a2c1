/*
 * Addresses, hosts and ranges: what is accepted, what is refused and why, and
 * that a printed address can be parsed again.
 */
#include <criterion/criterion.h>
#include <stddef.h>
#include <string.h>

#include "base/addr.h"
#include "base/err.h"

Test(addr, prints_what_it_parsed)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "127.0.0.1:443", "127.0.0.1:443" },
		{ "127.0.0.1:0", "127.0.0.1:0" },
		{ "0.0.0.0:65535", "0.0.0.0:65535" },
		{ "[::1]:443", "[::1]:443" },
		{ "[2001:DB8::0:1]:80", "[2001:db8::1]:80" },
		{ "[::ffff:10.1.2.3]:80", "10.1.2.3:80" },
		{ "8443", "[::]:8443" },
		{ "0", "[::]:0" },
		{ "*:8443", "[::]:8443" },
		{ "unix:/run/a b.sock", "unix:/run/a b.sock" },
	};
	char text[ADDR_TEXT_MAX];
	struct addr addr;
	struct err err;
	bool any;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect(addr_parse(&addr, &any, rows[i].given, &err), "%s",
		    rows[i].given);
		cr_expect_str_eq(addr_print(&addr, text, sizeof(text)),
		    rows[i].expect, "%s gave %s", rows[i].given, text);
	}
}

Test(addr, refuses_junk_with_the_cause)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "", "empty" },
		{ "127.0.0.1", "no port" },
		{ "127.0.0.1:", "not a port" },
		{ "127.0.0.1:x", "not a port" },
		{ "127.0.0.1:-1", "not a port" },
		{ "127.0.0.1:65536", "not a port" },
		{ "65536", "not a port" },
		{ "99999999999999999999", "not a port" },
		{ "*:", "not a port" },
		{ ":443", "no host" },
		{ "127.1:443", "not a numeric address" },
		{ "localhost:443", "not a numeric address" },
		{ " 127.0.0.1:443", "not a numeric address" },
		{ "::1:443", "brackets" },
		{ "[::1]", "[address]:port" },
		{ "[::1:443", "[address]:port" },
		{ "[]:443", "no host" },
		{ "[1.2.3.4]:443", "not an IPv6 address" },
		{ "[fe80::1%eth0]:443", "zone" },
		{ "unix:", "needs a path" },
	};
	struct addr addr;
	struct err err;
	bool any;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect_not(addr_parse(&addr, &any, rows[i].given, &err),
		    "%s", rows[i].given);
		cr_expect(strstr(err.text, rows[i].expect) != NULL,
		    "\"%s\": %s", rows[i].given, err.text);
	}
}

Test(addr, distinguishes_a_bare_port_from_an_address)
{
	struct addr addr;
	bool any = false;

	cr_expect(addr_parse(&addr, &any, "443", NULL));
	cr_expect(any);
	cr_expect(addr_parse(&addr, &any, "[::]:443", NULL));
	cr_expect_not(any);
}

Test(addr, refuses_a_bare_port_without_any_family)
{
	struct addr addr;
	struct err err;

	cr_expect_not(addr_parse(&addr, NULL, "443", &err));
	cr_expect_not(addr_parse(&addr, NULL, "*:443", &err));
	cr_expect(strstr(err.text, "host:port") != NULL, "%s", err.text);
	cr_expect(addr_parse(&addr, NULL, "1.2.3.4:443", &err));
}

Test(addr, takes_the_longest_socket_path_and_no_longer_one)
{
	char text[5 + 109] = "unix:", printed[ADDR_TEXT_MAX];
	struct addr addr;
	struct err err;

	memset(text + 5, 'p', 107);
	cr_expect(addr_parse(&addr, NULL, text, &err));
	cr_expect_str_eq(addr_print(&addr, printed, sizeof(printed)), text);
	text[5 + 107] = 'p';
	cr_expect_not(addr_parse(&addr, NULL, text, &err));
	cr_expect(strstr(err.text, "107") != NULL, "%s", err.text);
}

Test(addr, splits_a_host_from_its_port)
{
	static const struct {
		const char *given, *host;
		uint16_t port;
	} rows[] = {
		{ "backend.example.org:80", "backend.example.org", 80 },
		{ "my_service-1:8080", "my_service-1", 8080 },
		{ "10.0.0.1:80", "10.0.0.1", 80 },
		{ "[::1]:80", "::1", 80 },
		{ "8080", "localhost", 8080 },
	};
	char host[64];
	uint16_t port;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect(
		    addr_split(rows[i].given, host, sizeof(host), &port, NULL),
		    "%s", rows[i].given);
		cr_expect_str_eq(host, rows[i].host, "%s", rows[i].given);
		cr_expect_eq(port, rows[i].port, "%s", rows[i].given);
	}
}

Test(addr, refuses_what_is_no_host)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "", "no port" },
		{ "name", "no port" },
		{ "name:", "not a port" },
		{ "name:http", "not a port" },
		{ "na me:80", "not a host name" },
		{ "na\nme:80", "not a host name" },
		{ "n\xc3\xa4me:80", "xn--" },
		{ "*:80", "not a host name" },
		{ "::1:80", "brackets" },
		{ "[name]:80", "not an IPv6 address" },
		{ "unix:/run/s", "socket path" },
		{ "too-long-for-the-room-it-gets:80", "too long" },
	};
	char host[16];
	uint16_t port;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect_not(
		    addr_split(rows[i].given, host, sizeof(host), &port, &err),
		    "%s", rows[i].given);
		cr_expect(strstr(err.text, rows[i].expect) != NULL,
		    "\"%s\": %s", rows[i].given, err.text);
	}
}

Test(addr, from_the_kernel_is_never_mapped)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(80),
		.sin6_addr.s6_addr = { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
	struct addr addr, expect;

	cr_assert(addr_parse(&expect, NULL, "127.0.0.1:80", NULL));
	addr_from_sockaddr(&addr, (const struct sockaddr *)&in6, sizeof(in6));
	cr_expect(addr_equal(&addr, &expect));
	cr_expect_eq(addr.len, sizeof(struct sockaddr_in));
}

Test(addr, from_the_kernel_may_be_nameless_abstract_or_cut)
{
	static const struct {
		const char *what;
		socklen_t path_len;
		const char *path, *expect;
	} rows[] = {
		{ "never bound", 0, "", "unix:" },
		{ "a path", 3, "/s", "unix:/s" },
		{ "no terminator", 2, "/s", "unix:/s" },
		{ "abstract", 4, "\0abc", "unix:@abc" },
	};
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		struct addr addr;

		memcpy(un.sun_path, rows[i].path, rows[i].path_len);
		addr_from_sockaddr(&addr, (const struct sockaddr *)&un,
		    (socklen_t)offsetof(struct sockaddr_un, sun_path) +
			rows[i].path_len);
		cr_expect(addr_is_unix(&addr), "%s", rows[i].what);
		cr_expect_str_eq(addr_print(&addr, text, sizeof(text)),
		    rows[i].expect, "%s: %s", rows[i].what, text);
	}
}

Test(addr, too_short_a_sockaddr_is_no_address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct addr addr;
	char text[ADDR_TEXT_MAX];

	addr_from_sockaddr(&addr, (const struct sockaddr *)&in, 4);
	cr_expect_eq(addr.len, 0);
	cr_expect_eq(addr_port(&addr), 0);
	cr_expect_str_eq(addr_print(&addr, text, sizeof(text)), "-");
}

Test(addr, equality_sees_family_host_port_and_path)
{
	static const struct {
		const char *a, *b;
		bool expect;
	} rows[] = {
		{ "1.2.3.4:80", "1.2.3.4:80", true },
		{ "1.2.3.4:80", "1.2.3.4:81", false },
		{ "1.2.3.4:80", "1.2.3.5:80", false },
		{ "[::1]:80", "[0::1]:80", true },
		{ "[::1]:80", "[::2]:80", false },
		{ "[::ffff:1.2.3.4]:80", "1.2.3.4:80", true },
		{ "[::]:80", "0.0.0.0:80", false },
		{ "unix:/a", "unix:/a", true },
		{ "unix:/a", "unix:/ab", false },
		{ "unix:/a", "1.2.3.4:80", false },
	};
	struct addr a, b;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_assert(addr_parse(&a, NULL, rows[i].a, NULL));
		cr_assert(addr_parse(&b, NULL, rows[i].b, NULL));
		cr_expect_eq(addr_equal(&a, &b), rows[i].expect, "%s, %s",
		    rows[i].a, rows[i].b);
	}
}

Test(addr, changes_its_port_unless_it_has_none)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "1.2.3.4:80", "1.2.3.4:8080" },
		{ "[::1]:80", "[::1]:8080" },
		{ "unix:/a", "unix:/a" },
	};
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_assert(addr_parse(&addr, NULL, rows[i].given, NULL));
		addr_set_port(&addr, 8080);
		cr_expect_str_eq(
		    addr_print(&addr, text, sizeof(text)), rows[i].expect);
		cr_expect_eq(addr_port(&addr), addr_is_unix(&addr) ? 0 : 8080);
	}
}

Test(addr, prints_the_host_alone)
{
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	cr_assert(addr_parse(&addr, NULL, "[::1]:80", NULL));
	cr_expect_str_eq(addr_print_host(&addr, text, sizeof(text)), "::1");
}

Test(cidr, contains_its_own_and_no_others)
{
	static const struct {
		const char *range, *host;
		bool expect;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.255.255:1", true },
		{ "10.0.0.0/8", "11.0.0.0:1", false },
		{ "10.128.0.0/9", "10.128.0.0:1", true },
		{ "10.128.0.0/9", "10.127.255.255:1", false },
		{ "192.0.2.1", "192.0.2.1:99", true },
		{ "192.0.2.1", "192.0.2.2:99", false },
		{ "0.0.0.0/0", "255.255.255.255:1", true },
		{ "0.0.0.0/0", "[::1]:1", false },
		{ "::/0", "[2001:db8::1]:1", true },
		{ "::/0", "1.2.3.4:1", false },
		{ "2001:db8::/33", "[2001:db8:7fff::1]:1", true },
		{ "2001:db8::/33", "[2001:db8:8000::1]:1", false },
		{ "::1", "[::1]:1", true },
		{ "::ffff:10.0.0.0/104", "10.9.9.9:1", true },
		{ "10.0.0.0/8", "[::ffff:10.9.9.9]:1", true },
		{ "10.0.0.0/8", "unix:/a", false },
	};
	struct cidr cidr;
	struct addr addr;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect(cidr_parse(&cidr, rows[i].range, NULL), "%s",
		    rows[i].range);
		cr_assert(addr_parse(&addr, NULL, rows[i].host, NULL));
		cr_expect_eq(cidr_contains(&cidr, &addr), rows[i].expect,
		    "%s, %s", rows[i].range, rows[i].host);
	}
}

Test(cidr, refuses_junk_with_the_cause)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "", "not a range" },
		{ "localhost", "not a range" },
		{ "10.0.0.0:80", "not a range" },
		{ "10.0.0.0/", "0 to 32" },
		{ "10.0.0.0/33", "0 to 32" },
		{ "10.0.0.0/-1", "0 to 32" },
		{ "10.0.0.0/8x", "0 to 32" },
		{ "::/129", "0 to 128" },
		{ "::/1280", "0 to 128" },
		{ "10.0.0.1/8", "write 10.0.0.0/8" },
		{ "2001:db8::1/32", "write 2001:db8::/32" },
		{ "::ffff:10.0.0.0/95", "at least 96" },
		{ "fe80::1%eth0", "not a range" },
	};
	struct cidr cidr;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect_not(cidr_parse(&cidr, rows[i].given, &err), "%s",
		    rows[i].given);
		cr_expect(strstr(err.text, rows[i].expect) != NULL,
		    "\"%s\": %s", rows[i].given, err.text);
	}
}
