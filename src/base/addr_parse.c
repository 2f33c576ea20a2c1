/*
 * Text to addresses.  Any thread; pure functions of their arguments.  Text is
 * taken apart by hand and only the bare number is given to inet_pton, because
 * getaddrinfo would accept "127.1", names and zones, and may block.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

#define UNIX_PREFIX "unix:"
#define UNIX_PREFIX_LEN (sizeof(UNIX_PREFIX) - 1)
#define UNIX_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

/* Text in front of the port, without brackets, and how it was written. */
struct halves {
	/* RFC 1035 §2.3.4: 255 octets on the wire, 253 as text. */
	char host[254];
	uint16_t port;
	bool bracketed;
};

static void
make_in4(struct addr *addr, struct in_addr host, uint16_t port)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = host
	};

	addr_from_sockaddr(addr, (const struct sockaddr *)&in, sizeof(in));
}

static void
make_in6(struct addr *addr, const struct in6_addr *host, uint16_t port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = *host };

	addr_from_sockaddr(addr, (const struct sockaddr *)&in6, sizeof(in6));
}

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
		err_set(err, "a port alone will not do here: write host:port");
		return false;
	}
	if (!parse_port(&number, port, err))
		return false;
	*any_family = true;
	make_in6(addr, &in6addr_any, number);
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
		make_in6(addr, &in6, halves.port);
		return true;
	}
	if (inet_pton(AF_INET, halves.host, &in4) != 1) {
		err_set(err,
		    "\"%s\" is not a numeric address: write one such as "
		    "127.0.0.1:443, [::1]:443 or unix:/path",
		    halves.host);
		return false;
	}
	make_in4(addr, in4, halves.port);
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
