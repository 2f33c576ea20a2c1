/*
 * Addresses to accept on, and backends.  A backend's name is split here and
 * never looked up: reading a configuration must not wait for a name server.
 * For the same reason "localhost" is the one name to accept on.  stunnel's
 * forms (::1:443, host:https) are rewritten first.  Any thread.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/file.h"
#include "config/value.h"

#define ADDRESSES_MAX 64 /* in one accept or connect list */

/* "unix:run/x" or "/run/x" as "unix:/etc/clinch/run/x"; NULL: no socket
 * path at all, or no memory. */
static const char *
place_socket(const struct value_place *place, const char *text)
{
	const char *path = text;

	if (strncmp(text, "unix:", 5) == 0)
		path = text + 5;
	if (path[0] == '\0')
		return text;
	path = file_beside(place->arena, place->where->file, path);
	if (path == NULL)
		return NULL;
	return arena_format(place->arena, "unix:%s", path);
}

/* Ports by name.  A minimal system has no /etc/services. */
static const struct {
	const char *name;
	unsigned port;
} services[] = {
	{ "smtp", 25 },
	{ "http", 80 },
	{ "pop3", 110 },
	{ "nntp", 119 },
	{ "imap2", 143 },
	{ "imap", 143 },
	{ "ldap", 389 },
	{ "https", 443 },
	{ "smtps", 465 },
	{ "ssmtp", 465 },
	{ "submissions", 465 },
	{ "nntps", 563 },
	{ "submission", 587 },
	{ "ldaps", 636 },
	{ "domain-s", 853 },
	{ "ftps", 990 },
	{ "telnets", 992 },
	{ "imaps", 993 },
	{ "pop3s", 995 },
	{ "mysql", 3306 },
	{ "postgresql", 5432 },
	{ "amqps", 5671 },
	{ "redis", 6379 },
	{ "syslog-tls", 6514 },
	{ "ircs-u", 6697 },
	{ "http-alt", 8080 },
	{ "https-alt", 8443 },
	{ "secure-mqtt", 8883 },
};

/* The port of a service's name; 0: unknown. */
static unsigned
find_service(const char *name)
{
	struct servent entry, *found = NULL;
	char room[1024];

	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if (strcasecmp(services[i].name, name) == 0)
			return services[i].port;
	if (getservbyname_r(name, "tcp", &entry, room, sizeof(room), &found) !=
		0 ||
	    found == NULL)
		return 0;
	return ntohs((uint16_t)found->s_port);
}

static bool
is_number(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* An IPv6 address without brackets. */
static bool
is_bare_in6(const char *host)
{
	struct in6_addr in6;

	return strchr(host, ':') != NULL &&
	       inet_pton(AF_INET6, host, &in6) == 1;
}

/*
 * "::1:443" as "[::1]:443", "host:https" as "host:443", "https" as "443";
 * anything else as it is.  NULL: no memory.
 */
static const char *
rewrite(struct arena *arena, const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon != NULL ? colon + 1 : text;
	unsigned number;
	char *host;

	number = is_number(port) || port[0] == '\0' ? 0 : find_service(port);
	if (colon == NULL)
		return number > 0 ? arena_format(arena, "%u", number) : text;
	host = arena_copy(arena, text, (size_t)(colon - text));
	if (host == NULL)
		return NULL;
	/* hitch's "[*]:443" and "[127.0.0.1]:80". */
	if (host[0] == '[' && strchr(host, ':') == NULL &&
	    host[strlen(host) - 1] == ']')
		host = arena_copy(arena, host + 1, strlen(host) - 2);
	else if (is_bare_in6(host))
		host = arena_format(arena, "[%s]", host);
	if (host == NULL || number == 0)
		return host != NULL ? arena_format(arena, "%s:%s", host, port)
				    : NULL;
	return arena_format(arena, "%s:%u", host, number);
}

static bool
is_socket(const char *text)
{
	return text[0] == '/' || strncmp(text, "unix:", 5) == 0;
}

static bool
add_accept(const struct value_place *place, const char *text, bool by_name,
    struct err *err)
{
	const struct config_accepts *list = place->field;
	struct config_accept accept = {
		.by_name = by_name,
		.where = *place->where,
	};

	if (list->count >= ADDRESSES_MAX)
		return value_too_many(ADDRESSES_MAX, err);
	if (!addr_parse(&accept.addr, &accept.any_family, text, err))
		return false;
	return value_append(place, &accept, sizeof(accept), err);
}

/* Does this machine have ::1? */
static bool
has_loopback6(void)
{
	const struct sockaddr_in6 loopback = {
		.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&loopback,
				  sizeof(loopback)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

/* RFC 6761 section 6.3: localhost is the loopback address of each family. */
static bool
add_localhost(
    const struct value_place *place, const char *port, struct err *err)
{
	const char *v4 = arena_format(place->arena, "127.0.0.1:%s", port);
	const char *v6 = arena_format(place->arena, "[::1]:%s", port);

	if (v4 == NULL || v6 == NULL)
		return value_no_memory(err);
	return add_accept(place, v4, true, err) &&
	       (!has_loopback6() || add_accept(place, v6, true, err));
}

/* A host name, for a better sentence than that of addr_parse. */
static bool
is_name(const char *text)
{
	size_t length = strcspn(text, ":");

	return text[length] == ':' && is_number(text + length + 1) &&
	       strspn(text, "0123456789.") < length &&
	       strspn(text,
		   "abcdefghijklmnopqrstuvwxyz"
		   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == length;
}

static bool
take_accept(const struct value_place *place, const char *text, struct err *err)
{
	const char *given = text;

	text = is_socket(text) ? place_socket(place, text)
			       : rewrite(place->arena, text);
	if (text == NULL)
		return value_no_memory(err);
	if (strncasecmp(text, "localhost:", 10) == 0)
		return add_localhost(place, text + 10, err);
	if (!is_socket(text) && is_name(text)) {
		err_set(err,
		    "\"%s\": names are not looked up to accept on, except "
		    "localhost: write the address, or the port alone for all",
		    given);
		return false;
	}
	return add_accept(place, text, false, err);
}

static bool
read_accepts(const struct value_place *place, const char *text, struct err *err)
{
	return value_each_item(place, text, take_accept, err);
}

static void
print_accepts(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const struct config_accepts *list = field;
	char text[ADDR_TEXT_MAX];

	(void)rules;
	for (size_t i = 0; i < list->count; i++) {
		const struct addr *addr = &list->items[i].addr;

		if (addr_is_unix(addr))
			value_print_path(out, key, "unix:", addr->un.sun_path);
		else if (list->items[i].any_family)
			fprintf(out, "%s = %u\n", key, addr_port(addr));
		else
			fprintf(out, "%s = %s\n", key,
			    addr_print(addr, text, sizeof(text)));
	}
}

static bool
equal_accepts(const void *a, const void *b)
{
	const struct config_accepts *left = a, *right = b;

	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++)
		if (left->items[i].any_family != right->items[i].any_family ||
		    !addr_equal(&left->items[i].addr, &right->items[i].addr))
			return false;
	return true;
}

static bool
split_name(struct config_connect *connect, const struct value_place *place,
    const char *text, struct err *err)
{
	char host[256];

	if (strncmp(text, "*:", 2) == 0) {
		err_set(err, "\"%s\": a backend needs a host", text);
		return false;
	}
	if (!addr_split(text, host, sizeof(host), &connect->port, err))
		return false;
	connect->host = arena_copy(place->arena, host, strlen(host));
	return connect->host != NULL || value_no_memory(err);
}

static bool
read_backend(struct config_connect *connect, const struct value_place *place,
    const char *text, struct err *err)
{
	if (is_socket(text)) {
		text = place_socket(place, text);
		return text != NULL
			   ? addr_parse(&connect->fixed, NULL, text, err)
			   : value_no_memory(err);
	}
	text = rewrite(place->arena, text);
	if (text == NULL)
		return value_no_memory(err);
	if (!split_name(connect, place, text, err))
		return false;
	if (connect->port == 0) {
		err_set(err, "\"%s\": a backend needs a port", text);
		return false;
	}
	/* Not numeric is no error: then it is a name, to be looked up. */
	if (!addr_parse(&connect->fixed, NULL, text, NULL))
		connect->fixed = (struct addr){ 0 };
	return true;
}

static bool
take_connect(const struct value_place *place, const char *text, struct err *err)
{
	const struct config_connects *list = place->field;
	struct config_connect connect = {
		.text = text,
		.where = *place->where,
	};

	if (list->count >= ADDRESSES_MAX)
		return value_too_many(ADDRESSES_MAX, err);
	if (!read_backend(&connect, place, text, err))
		return false;
	return value_append(place, &connect, sizeof(connect), err);
}

static bool
read_connects(
    const struct value_place *place, const char *text, struct err *err)
{
	return value_each_item(place, text, take_connect, err);
}

static void
print_connects(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const struct config_connects *list = field;

	(void)rules;
	for (size_t i = 0; i < list->count; i++) {
		const struct config_connect *connect = &list->items[i];

		if (addr_is_unix(&connect->fixed))
			value_print_path(
			    out, key, "unix:", connect->fixed.un.sun_path);
		else
			value_print_text(out, key, connect->text);
	}
}

static bool
same_backend(const struct config_connect *a, const struct config_connect *b)
{
	if (addr_is_unix(&a->fixed) || addr_is_unix(&b->fixed))
		return addr_equal(&a->fixed, &b->fixed);
	return strcmp(a->text, b->text) == 0;
}

static bool
equal_connects(const void *a, const void *b)
{
	const struct config_connects *left = a, *right = b;

	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++)
		if (!same_backend(&left->items[i], &right->items[i]))
			return false;
	return true;
}

const struct value_type value_accepts = {
	.name = "list of addresses",
	.list = VALUE_LIST,
	.read = read_accepts,
	.print = print_accepts,
	.equal = equal_accepts,
};

const struct value_type value_connects = {
	.name = "list of backends",
	.list = VALUE_LIST,
	.read = read_connects,
	.print = print_connects,
	.equal = equal_connects,
};
