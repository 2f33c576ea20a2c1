/*
 * Network addresses: as text, and as the kernel's sockaddr.  Accepted:
 * "1.2.3.4:443", "[::1]:443", "443" or "*:443" (any address, both families),
 * "unix:/path".  Names are never resolved here (that blocks); see addr_split.
 * IPv4-mapped IPv6 addresses are normalised to IPv4 before any match or print.
 * Plain values; any thread.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/attr.h"

struct err;

#define ADDR_TEXT_MAX 128 /* enough for any printed address, unix paths too */

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	};
	socklen_t len; /* 0: no address */
};

struct cidr {
	struct addr net; /* AF_INET or AF_INET6, port 0 */
	unsigned prefix; /* bits */
};

/*
 * Parse a numeric address.  A bare port gives [::]:port with *any_family true
 * (any_family may be NULL when a bare port should be refused).
 */
bool addr_parse(struct addr *addr, bool *any_family, const char *text,
    struct err *err) MUST_CHECK;

/*
 * Split "name:port" into a copied name and a port; "[v6]:port" works too.
 * A bare port gives the name "localhost".  host holds host_max bytes.
 */
bool addr_split(const char *text, char *host, size_t host_max, uint16_t *port,
    struct err *err) MUST_CHECK;

/* Print as it would be parsed: "127.0.0.1:80", "[::1]:80", "unix:/p". */
const char *addr_print(const struct addr *addr, char *out, size_t max);

/* As addr_print, without the port. */
const char *addr_print_host(const struct addr *addr, char *out, size_t max);

/* Take a sockaddr from the kernel, turning ::ffff:a.b.c.d into a.b.c.d. */
void addr_from_sockaddr(
    struct addr *addr, const struct sockaddr *sa, socklen_t len);

uint16_t addr_port(const struct addr *addr);          /* 0 for unix */
void addr_set_port(struct addr *addr, uint16_t port); /* unix: nothing */
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_is_unix(const struct addr *addr);

/* "10.0.0.0/8", "::1", "2001:db8::/32". A missing prefix means one host. */
bool cidr_parse(
    struct cidr *cidr, const char *text, struct err *err) MUST_CHECK;
bool cidr_contains(const struct cidr *cidr, const struct addr *addr);

#endif
