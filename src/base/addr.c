/*
 * Addresses as values: parsed from text, taken from the kernel, compared,
 * printed, and matched against ranges.  Any thread; pure functions of their
 * arguments.
 *
 * Text is split by hand and only the bare number goes to inet_pton, because
 * getaddrinfo would accept "127.1", names and zones, and may block.  An
 * IPv4-mapped IPv6 address becomes IPv4 in from_in6 and nowhere else, so that
 * comparing and matching need not consider it.  A range with bits set behind
 * its prefix is refused rather than masked: 10.0.0.1/8 may mean one host or a
 * network, and an access rule must not guess.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define UNIX_PREFIX "unix:"
#define UNIX_PREFIX_LEN (sizeof(UNIX_PREFIX) - 1)
#define UNIX_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

enum { MAPPED_BITS = 96 }; /* RFC 4291 §2.5.5.2: ::ffff:0:0/96 */

static void
from_in4(struct addr *addr, const void *bytes, uint16_t port)
{
	*addr = (struct addr){ .len = sizeof(addr->in) };
	addr->in.sin_family = AF_INET;
	addr->in.sin_port = htons(port);
	memcpy(&addr->in.sin_addr, bytes, sizeof(addr->in.sin_addr));
}

static void
from_in6(struct addr *addr, const struct in6_addr *in6, uint16_t port)
{
	if (IN6_IS_ADDR_V4MAPPED(in6)) {
		from_in4(addr, in6->s6_addr + 12, port);
		return;
	}
	*addr = (struct addr){ .len = sizeof(addr->in6) };
	addr->in6.sin6_family = AF_INET6;
	addr->in6.sin6_port = htons(port);
	addr->in6.sin6_addr = *in6;
}

/*
 * A socket that was never bound has no path at all; an abstract one begins
 * with a zero byte, shown as "@" as other tools do.
 */
static const char *
print_unix(const struct addr *addr, char *out, size_t max)
{
	size_t head = offsetof(struct sockaddr_un, sun_path);
	size_t len = addr->len > head ? addr->len - head : 0;
	const char *path = addr->un.sun_path;

	if (len > 0 && path[0] == '\0' && strnlen(path + 1, len - 1) > 0)
		snprintf(out, max, UNIX_PREFIX "@%.*s", (int)len - 1, path + 1);
	else
		snprintf(out, max, UNIX_PREFIX "%.*s", (int)len, path);
	return out;
}

const char *
addr_print_host(const struct addr *addr, char *out, size_t max)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (addr->len == 0) {
		snprintf(out, max, "-");
		return out;
	}
	if (addr_is_unix(addr))
		return print_unix(addr, out, max);
	if (addr->sa.sa_family == AF_INET)
		inet_ntop(AF_INET, &addr->in.sin_addr, text, sizeof(text));
	else
		inet_ntop(AF_INET6, &addr->in6.sin6_addr, text, sizeof(text));
	snprintf(out, max, "%s", text);
	return out;
}

const char *
addr_print(const struct addr *addr, char *out, size_t max)
{
	char host[ADDR_TEXT_MAX];
	bool in6 = addr->len != 0 && addr->sa.sa_family == AF_INET6;

	if (addr->len == 0 || addr_is_unix(addr))
		return addr_print_host(addr, out, max);
	addr_print_host(addr, host, sizeof(host));
	snprintf(out, max, in6 ? "[%s]:%u" : "%s:%u", host, addr_port(addr));
	return out;
}

void
addr_from_sockaddr(struct addr *addr, const struct sockaddr *sa, socklen_t len)
{
	struct addr raw = { 0 };

	memcpy(&raw.un, sa, len < sizeof(raw.un) ? len : sizeof(raw.un));
	*addr = (struct addr){ 0 };
	if (len >= sizeof(raw.in6) && raw.sa.sa_family == AF_INET6) {
		from_in6(addr, &raw.in6.sin6_addr, ntohs(raw.in6.sin6_port));
		if (addr->sa.sa_family == AF_INET6)
			addr->in6.sin6_scope_id = raw.in6.sin6_scope_id;
	} else if (len >= sizeof(raw.in) && raw.sa.sa_family == AF_INET) {
		from_in4(addr, &raw.in.sin_addr, ntohs(raw.in.sin_port));
	} else if (len >= sizeof(sa_family_t) && raw.sa.sa_family == AF_UNIX) {
		*addr = raw;
		addr->len = len < sizeof(raw.un) ? len : sizeof(raw.un);
	}
}

uint16_t
addr_port(const struct addr *addr)
{
	if (addr->len == 0 || addr_is_unix(addr))
		return 0;
	return ntohs(addr->sa.sa_family == AF_INET ? addr->in.sin_port
						   : addr->in6.sin6_port);
}

void
addr_set_port(struct addr *addr, uint16_t port)
{
	if (addr->len == 0 || addr_is_unix(addr))
		return;
	if (addr->sa.sa_family == AF_INET)
		addr->in.sin_port = htons(port);
	else
		addr->in6.sin6_port = htons(port);
}

bool
addr_is_unix(const struct addr *addr)
{
	return addr->len != 0 && addr->sa.sa_family == AF_UNIX;
}

static bool
equal_unix(const struct addr *a, const struct addr *b)
{
	/* Zeros follow a path; the length alone ends an abstract name. */
	bool abstract = a->un.sun_path[0] == '\0';

	return memcmp(a->un.sun_path, b->un.sun_path, sizeof(a->un.sun_path)) ==
		   0 &&
	       (!abstract || a->len == b->len);
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	if (a->len == 0 || b->len == 0)
		return a->len == b->len;
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (addr_is_unix(a))
		return equal_unix(a, b);
	if (addr_port(a) != addr_port(b))
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
	       IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

/* ---- from text ---- */

/* Text in front of the port, without brackets, and how it was written. */
struct halves {
	/* RFC 1035 §2.3.4: 255 octets on the wire, 253 as text. */
	char host[254];
	uint16_t port;
	bool bracketed;
};

static bool
parse_port(uint16_t *port, const char *text, struct err *err)
{
	unsigned long value = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 6; i++)
		value = value * 10 + (unsigned long)(text[i] - '0');
	if (i == 0 || text[i] != '\0' || value > 65535) {
		err_set(err,
		    "\"%s\" is not a port: write a number from 0 to 65535",
		    text);
		return false;
	}
	*port = (uint16_t)value;
	return true;
}

static bool
is_bare_port(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool
copy_host(struct halves *halves, const char *from, size_t len, struct err *err)
{
	if (len == 0) {
		err_set(err, "there is no host in front of the port");
		return false;
	}
	if (len >= sizeof(halves->host)) {
		err_set(err, "the host is longer than 253 characters");
		return false;
	}
	memcpy(halves->host, from, len);
	halves->host[len] = '\0';
	return true;
}

static bool
split_bracketed(struct halves *halves, const char *text, struct err *err)
{
	const char *close = strchr(text, ']');

	halves->bracketed = true;
	if (close == NULL || close[1] != ':') {
		err_set(err,
		    "\"%s\" must be written [address]:port, such as [::1]:443",
		    text);
		return false;
	}
	return copy_host(halves, text + 1, (size_t)(close - text) - 1, err) &&
	       parse_port(&halves->port, close + 2, err);
}

static bool
split(struct halves *halves, const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');

	*halves = (struct halves){ 0 };
	if (text[0] == '[')
		return split_bracketed(halves, text, err);
	if (colon == NULL) {
		err_set(err, "\"%s\" has no port: write host:port", text);
		return false;
	}
	if (strchr(text, ':') != colon) {
		err_set(err,
		    "\"%s\" has more than one colon: write an IPv6 address in "
		    "brackets, such as [::1]:443",
		    text);
		return false;
	}
	return copy_host(halves, text, (size_t)(colon - text), err) &&
	       parse_port(&halves->port, colon + 1, err);
}

static bool
parse_in6(struct in6_addr *in6, const char *text, struct err *err)
{
	if (inet_pton(AF_INET6, text, in6) == 1)
		return true;
	if (strchr(text, '%') != NULL)
		err_set(err,
		    "\"%s\" has a zone: only addresses without one can be used",
		    text);
	else
		err_set(err, "\"%s\" is not an IPv6 address", text);
	return false;
}

static bool
parse_unix(struct addr *addr, const char *path, struct err *err)
{
	size_t len = strlen(path);

	if (len == 0) {
		err_set(err, "unix: needs a path, such as unix:/run/x.sock");
		return false;
	}
	if (len > UNIX_PATH_MAX) {
		err_set(err,
		    "the socket path is %zu bytes long; the system allows %zu",
		    len, UNIX_PATH_MAX);
		return false;
	}
	*addr = (struct addr){ .len = sizeof(addr->un) };
	addr->un.sun_family = AF_UNIX;
	memcpy(addr->un.sun_path, path, len);
	return true;
}

static bool
parse_any(
    struct addr *addr, bool *any_family, const char *port, struct err *err)
{
	uint16_t number;

	if (any_family == NULL) {
		err_set(err,
		    "a port without a host is not valid here: write host:port");
		return false;
	}
	if (!parse_port(&number, port, err))
		return false;
	*any_family = true;
	from_in6(addr, &in6addr_any, number);
	return true;
}

static bool
parse_numeric(struct addr *addr, const char *text, struct err *err)
{
	struct halves halves;
	struct in6_addr in6;
	struct in_addr in4;

	if (!split(&halves, text, err))
		return false;
	if (halves.bracketed) {
		if (!parse_in6(&in6, halves.host, err))
			return false;
		from_in6(addr, &in6, halves.port);
		return true;
	}
	if (inet_pton(AF_INET, halves.host, &in4) != 1) {
		err_set(err,
		    "\"%s\" is not a numeric address: write one such as "
		    "127.0.0.1:443, [::1]:443 or unix:/path",
		    halves.host);
		return false;
	}
	from_in4(addr, &in4, halves.port);
	return true;
}

bool
addr_parse(
    struct addr *addr, bool *any_family, const char *text, struct err *err)
{
	*addr = (struct addr){ 0 };
	if (any_family != NULL)
		*any_family = false;
	if (text[0] == '\0') {
		err_set(err, "the address is empty");
		return false;
	}
	if (strncmp(text, UNIX_PREFIX, UNIX_PREFIX_LEN) == 0)
		return parse_unix(addr, text + UNIX_PREFIX_LEN, err);
	if (is_bare_port(text))
		return parse_any(addr, any_family, text, err);
	if (strncmp(text, "*:", 2) == 0)
		return parse_any(addr, any_family, text + 2, err);
	return parse_numeric(addr, text, err);
}

static bool
check_name(const char *name, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";

	if (name[strspn(name, allowed)] == '\0')
		return true;
	err_set(err,
	    "\"%s\" is not a host name: letters, digits, - and . make one "
	    "(international names in their xn-- form)",
	    name);
	return false;
}

static bool
check_host(const struct halves *halves, struct err *err)
{
	struct in6_addr in6;

	return halves->bracketed ? parse_in6(&in6, halves->host, err)
				 : check_name(halves->host, err);
}

bool
addr_split(const char *text, char *host, size_t host_max, uint16_t *port,
    struct err *err)
{
	struct halves halves = { .host = "localhost" };
	size_t len;

	if (strncmp(text, UNIX_PREFIX, UNIX_PREFIX_LEN) == 0) {
		err_set(err, "\"%s\" is a socket path, not a host", text);
		return false;
	}
	if (is_bare_port(text)) {
		if (!parse_port(&halves.port, text, err))
			return false;
	} else if (!split(&halves, text, err) || !check_host(&halves, err)) {
		return false;
	}
	len = strlen(halves.host);
	if (len >= host_max) {
		err_set(err, "the host \"%s\" is too long", halves.host);
		return false;
	}
	memcpy(host, halves.host, len + 1);
	*port = halves.port;
	return true;
}

/* ---- ranges ---- */

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

/* Returns how many bits the notation of the address has, 0: no address. */
static unsigned
parse_net(struct addr *net, const char *text)
{
	struct in6_addr in6;
	struct in_addr in4;

	if (inet_pton(AF_INET, text, &in4) == 1) {
		from_in4(net, &in4, 0);
		return 32;
	}
	if (inet_pton(AF_INET6, text, &in6) == 1) {
		from_in6(net, &in6, 0);
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
