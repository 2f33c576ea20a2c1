/*
 * Addresses as values: made from what the kernel says, compared, printed.
 * Any thread; pure functions of their arguments.  An IPv4-mapped IPv6 address
 * becomes IPv4 at birth, in from_in6 and nowhere else, so that comparing and
 * matching need not think of it.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define UNIX_PREFIX "unix:"

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
	/* Behind the path are zeros; an abstract name has its length alone. */
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
