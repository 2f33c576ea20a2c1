/*
 * Ranges of addresses: "10.0.0.0/8" to a struct and the question whether an
 * address lies inside.  Any thread; pure functions.  Bits behind the prefix
 * are refused rather than masked away: somebody who writes 10.0.0.1/8 meant
 * either one host or a network, and an access rule must not guess.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { MAPPED_BITS = 96 }; /* RFC 4291 §2.5.5.2: ::ffff:0:0/96 */

static uint8_t *
bytes_of(struct addr *addr)
{
	return addr->sa.sa_family == AF_INET ? (void *)&addr->in.sin_addr
					     : (void *)&addr->in6.sin6_addr;
}

static const uint8_t *
const_bytes_of(const struct addr *addr)
{
	return addr->sa.sa_family == AF_INET
		   ? (const void *)&addr->in.sin_addr
		   : (const void *)&addr->in6.sin6_addr;
}

static unsigned
bits_of(const struct addr *addr)
{
	return addr->sa.sa_family == AF_INET ? 32 : 128;
}

/* Read the address; returns how many bits its notation has, 0: junk. */
static unsigned
parse_net(struct addr *net, const char *text)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		addr_from_sockaddr(
		    net, (const struct sockaddr *)&in, sizeof(in));
		return 32;
	}
	if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
		addr_from_sockaddr(
		    net, (const struct sockaddr *)&in6, sizeof(in6));
		return 128;
	}
	return 0;
}

/* The prefix as written, checked against the notation it was written in. */
static bool
parse_prefix(unsigned *prefix, const char *text, unsigned max, struct err *err)
{
	size_t digits = strspn(text, "0123456789");

	*prefix = max + 1;
	if (digits > 0 && digits <= 3 && text[digits] == '\0')
		*prefix = (unsigned)strtoul(text, NULL, 10);
	if (*prefix <= max)
		return true;
	err_set(
	    err, "the prefix \"/%s\" must be a number from 0 to %u", text, max);
	return false;
}

static void
mask(uint8_t *bytes, unsigned prefix, unsigned bits)
{
	for (unsigned bit = prefix; bit < bits; bit++)
		bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
}

static bool
check_host_bits(const struct cidr *cidr, const char *text, struct err *err)
{
	struct addr masked = cidr->net;
	char host[ADDR_TEXT_MAX];

	mask(bytes_of(&masked), cidr->prefix, bits_of(&masked));
	if (addr_equal(&masked, &cidr->net))
		return true;
	err_set(err,
	    "\"%s\" has bits set behind its prefix: write %s/%u for the "
	    "network, or leave the prefix out for one host",
	    text, addr_print_host(&masked, host, sizeof(host)), cidr->prefix);
	return false;
}

/* Prefixes of a mapped address count from the front of the IPv6 notation. */
static bool
map_prefix(struct cidr *cidr, unsigned notation, struct err *err)
{
	if (notation == bits_of(&cidr->net))
		return true;
	if (cidr->prefix < MAPPED_BITS) {
		err_set(err,
		    "an IPv4-mapped range needs a prefix of at least %d: "
		    "write it as IPv4",
		    MAPPED_BITS);
		return false;
	}
	cidr->prefix -= MAPPED_BITS;
	return true;
}

bool
cidr_parse(struct cidr *cidr, const char *text, struct err *err)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char net[INET6_ADDRSTRLEN] = "";
	unsigned notation;

	*cidr = (struct cidr){ 0 };
	if (len < sizeof(net))
		snprintf(net, sizeof(net), "%.*s", (int)len, text);
	notation = parse_net(&cidr->net, net);
	if (notation == 0) {
		err_set(err,
		    "\"%s\" is not a range of addresses: write one such as "
		    "10.0.0.0/8, 192.0.2.1 or 2001:db8::/32",
		    text);
		return false;
	}
	cidr->prefix = notation;
	if (slash != NULL &&
	    !parse_prefix(&cidr->prefix, slash + 1, notation, err))
		return false;
	return map_prefix(cidr, notation, err) &&
	       check_host_bits(cidr, text, err);
}

bool
cidr_contains(const struct cidr *cidr, const struct addr *addr)
{
	const uint8_t *net = const_bytes_of(&cidr->net);
	unsigned whole = cidr->prefix / 8;
	unsigned rest = cidr->prefix % 8;
	const uint8_t *bytes;

	if (addr->len == 0 || addr->sa.sa_family != cidr->net.sa.sa_family)
		return false;
	bytes = const_bytes_of(addr);
	if (memcmp(net, bytes, whole) != 0)
		return false;
	return rest == 0 || ((net[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}
