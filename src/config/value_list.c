/*
 * The types of lists: address ranges, protocol names, addresses to accept on,
 * backends, URLs and client names; and the proxy URL.  Any thread.
 *
 * A value holds items between commas and a key may be repeated: both append.
 * The caller empties the field where a section's list replaces a default.
 *
 * Names of backends are not resolved here, since a configuration must not wait
 * for a name server; for the same reason "localhost" is the only name accepted
 * in accept.  stunnel's forms (::1:443, host:https) are rewritten first.  URLs
 * with a user name are refused: a password would follow, which --print-config
 * and logs would show.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/arena.h"
#include "config/reader.h"
#include "config/strings.h"
#include "config/value.h"

#define ALPN_MAX 255 /* RFC 7301 §3.1: one length byte */

static bool
append_string(
    const struct value_place *place, const char *text, struct err *err)
{
	if (strlen(text) <= ALPN_MAX)
		return value_append(place, &text, err);
	return err_set(err, "a name has at most %d bytes", ALPN_MAX);
}

static bool
append_cidr(const struct value_place *place, const char *text, struct err *err)
{
	struct cidr cidr;

	if (!cidr_parse(&cidr, text, err))
		return false;
	return value_append(place, &cidr, err);
}

static void
print_cidr(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const struct cidr *cidr = field;
	char host[ADDR_TEXT_MAX];

	(void)rules;
	fprintf(out, "%s = %s/%u\n", key,
	    addr_print_host(&cidr->net, host, sizeof(host)), cidr->prefix);
}

static bool
equal_cidr(const void *a, const void *b)
{
	const struct cidr *left = a, *right = b;

	return left->prefix == right->prefix &&
	       addr_equal(&left->net, &right->net);
}

const struct value_type value_strings = {
	.name = "list of names",
	.list = VALUE_LIST,
	.item_size = sizeof(char *),
	.items_max = 64,
	.read = append_string,
	.print = value_print_string,
	.equal = value_equal_string,
};

const struct value_type value_cidrs = {
	.name = "list of ranges",
	.list = VALUE_LIST,
	.item_size = sizeof(struct cidr),
	.items_max = 65536,
	.read = append_cidr,
	.print = print_cidr,
	.equal = equal_cidr,
};

/* Resolve "unix:run/x" and "/run/x" to "unix:/etc/clinch/run/x".  NULL: no
 * memory. */
static const char *
place_socket(const struct value_place *place, const char *text)
{
	const char *path = text;

	if (strncmp(text, "unix:", 5) == 0)
		path = text + 5;
	if (path[0] == '\0')
		return text;
	path = reader_path(place->arena, place->where->file, path);
	if (path == NULL)
		return NULL;
	return arena_format(place->arena, "unix:%s", path);
}

/* Ports by name: a minimal system has no /etc/services. */
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

/* The port of a service; 0: unknown. */
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

/* true: an IPv6 address without brackets. */
static bool
is_bare_in6(const char *host)
{
	struct in6_addr in6;

	return strchr(host, ':') != NULL &&
	       inet_pton(AF_INET6, host, &in6) == 1;
}

/* Rewrite "::1:443" as "[::1]:443", "host:https" as "host:443" and "https" as
 * "443".  NULL: no memory. */
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
	struct config_accept accept = {
		.by_name = by_name,
		.where = *place->where,
	};

	if (!addr_parse(&accept.addr, &accept.any_family, text, err))
		return false;
	return value_append(place, &accept, err);
}

/* true: this machine has ::1. */
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
		return err_no_memory(err);
	return add_accept(place, v4, true, err) &&
	       (!has_loopback6() || add_accept(place, v6, true, err));
}

/* true: a host name, which addr_parse would report less clearly. */
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
append_accept(
    const struct value_place *place, const char *text, struct err *err)
{
	const char *given = text;

	text = is_socket(text) ? place_socket(place, text)
			       : rewrite(place->arena, text);
	if (text == NULL)
		return err_no_memory(err);
	if (strncasecmp(text, "localhost:", 10) == 0)
		return add_localhost(place, text + 10, err);
	if (!is_socket(text) && is_name(text))
		return err_set(err,
		    "\"%s\": names are not resolved in accept, except "
		    "localhost: write the address, or only the port for all",
		    given);
	return add_accept(place, text, false, err);
}

static void
print_accept(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const struct config_accept *accept = field;
	char text[ADDR_TEXT_MAX];

	(void)rules;
	if (addr_is_unix(&accept->addr))
		value_print_path(out, key, "unix:", accept->addr.un.sun_path);
	else if (accept->any_family)
		fprintf(out, "%s = %u\n", key, addr_port(&accept->addr));
	else
		fprintf(out, "%s = %s\n", key,
		    addr_print(&accept->addr, text, sizeof(text)));
}

static bool
equal_accept(const void *a, const void *b)
{
	const struct config_accept *left = a, *right = b;

	return left->any_family == right->any_family &&
	       addr_equal(&left->addr, &right->addr);
}

static bool
split_name(struct config_connect *connect, const struct value_place *place,
    const char *text, struct err *err)
{
	char host[256];

	if (strncmp(text, "*:", 2) == 0)
		return err_set(err, "\"%s\": a backend needs a host", text);
	if (!addr_split(text, host, sizeof(host), &connect->port, err))
		return false;
	connect->host = arena_copy(place->arena, host, strlen(host));
	return connect->host != NULL || err_no_memory(err);
}

static bool
read_backend(struct config_connect *connect, const struct value_place *place,
    const char *text, struct err *err)
{
	if (is_socket(text)) {
		text = place_socket(place, text);
		return text != NULL
			   ? addr_parse(&connect->fixed, NULL, text, err)
			   : err_no_memory(err);
	}
	text = rewrite(place->arena, text);
	if (text == NULL)
		return err_no_memory(err);
	if (!split_name(connect, place, text, err))
		return false;
	if (connect->port == 0)
		return err_set(err, "\"%s\": a backend needs a port", text);
	/* Not numeric: a name, which is resolved later. */
	if (!addr_parse(&connect->fixed, NULL, text, NULL))
		connect->fixed = (struct addr){ 0 };
	return true;
}

static bool
append_connect(
    const struct value_place *place, const char *text, struct err *err)
{
	struct config_connect connect = {
		.text = text,
		.where = *place->where,
	};

	if (!read_backend(&connect, place, text, err))
		return false;
	return value_append(place, &connect, err);
}

static void
print_connect(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const struct config_connect *connect = field;

	(void)rules;
	if (addr_is_unix(&connect->fixed))
		value_print_path(out, key, "unix:", connect->fixed.un.sun_path);
	else
		value_print_text(out, key, connect->text);
}

static bool
equal_connect(const void *a, const void *b)
{
	const struct config_connect *left = a, *right = b;

	if (addr_is_unix(&left->fixed) || addr_is_unix(&right->fixed))
		return addr_equal(&left->fixed, &right->fixed);
	return strcmp(left->text, right->text) == 0;
}

const struct value_type value_accepts = {
	.name = "list of addresses",
	.list = VALUE_LIST,
	.item_size = sizeof(struct config_accept),
	.items_max = 64,
	.read = append_accept,
	.print = print_accept,
	.equal = equal_accept,
};

const struct value_type value_connects = {
	.name = "list of backends",
	.list = VALUE_LIST,
	.item_size = sizeof(struct config_connect),
	.items_max = 64,
	.read = append_connect,
	.print = print_connect,
	.equal = equal_connect,
};

#define URL_LENGTH_MAX 2048
#define AUTHORITY_MAX 280 /* the longest host, brackets and a port */

/* The text after the scheme; NULL: not http or https. */
static const char *
after_scheme(const char *url)
{
	if (strncasecmp(url, "http://", 7) == 0)
		return url + 7;
	if (strncasecmp(url, "https://", 8) == 0)
		return url + 8;
	return NULL;
}

/* RFC 3986 section 2: printable ASCII without blanks. */
static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* Check "host" or "host:port" up to the start of the path. */
static bool
check_authority(const char *text, struct err *err)
{
	char authority[AUTHORITY_MAX + sizeof(":80")], host[256];
	size_t length = strcspn(text, "/?#");
	uint16_t port;

	if (length > AUTHORITY_MAX)
		return err_set(err, "the host is longer than 253 characters");
	memcpy(authority, text, length);
	authority[length] = '\0';
	if (strchr(authority, '@') != NULL)
		return err_set(err, "leave out the user name and password");
	if (length == 0 || authority[length - 1] == ']' ||
	    strchr(authority, ':') == NULL)
		memcpy(authority + length, ":80", sizeof(":80"));
	if (!addr_split(authority, host, sizeof(host), &port, err))
		return false;
	if (port == 0)
		err_set(err, "port 0 is not valid");
	return port != 0;
}

static bool
check_url(const char *url, struct err *err)
{
	const char *authority = after_scheme(url);

	if (authority == NULL)
		return err_set(err,
		    "\"%.64s\" does not begin with http:// or https://", url);
	if (strlen(url) > URL_LENGTH_MAX)
		return err_set(
		    err, "a URL has at most %d bytes", URL_LENGTH_MAX);
	if (!is_plain(url))
		return err_set(err,
		    "a URL is ASCII without blanks: write other bytes as %%XX");
	return check_authority(authority, err);
}

static bool
append_url(const struct value_place *place, const char *text, struct err *err)
{

	return check_url(text, err) && value_append(place, &text, err);
}

static bool
has_user(const char *url)
{
	const char *authority = after_scheme(url);

	return authority != NULL &&
	       memchr(authority, '@', strcspn(authority, "/?#")) != NULL;
}

static bool
read_proxy(const struct value_place *place, const char *text, struct err *err)
{
	char *copy;

	if (strcasecmp(text, "none") == 0)
		text = "";
	else if (has_user(text)) {
		return err_set(err,
		    "a user and a password do not belong in this file: leave "
		    "the key out and name the proxy in the environment of the "
		    "process, http_proxy=http://USER:PASSWORD@HOST:PORT");
	} else if (!check_url(text, err))
		return false;
	copy = arena_copy(place->arena, text, strlen(text));
	if (copy == NULL)
		return err_no_memory(err);
	*(const char **)place->field = copy;
	return true;
}

static void
print_proxy(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const char *proxy = *(const char *const *)field;

	(void)rules;
	if (proxy != NULL)
		value_print_text(out, key, proxy[0] != '\0' ? proxy : "none");
}

const struct value_type value_urls = {
	.name = "list of URLs",
	.list = VALUE_LIST,
	.item_size = sizeof(char *),
	.items_max = 8, /* the limit of libstaple */
	.read = append_url,
	.print = value_print_string,
	.equal = value_equal_string,
};

const struct value_type value_proxy = {
	.name = "URL or none",
	.read = read_proxy,
	.print = print_proxy,
	.equal = value_equal_string,
};

#define RULE_LENGTH_MAX 1023 /* longer names in certificates never match */

static bool
append_rule(const struct value_place *place, const char *text, struct err *err)
{
	if (strlen(text) <= RULE_LENGTH_MAX)
		return value_append(place, &text, err);
	return err_set(
	    err, "a name here has at most %d bytes", RULE_LENGTH_MAX);
}

static bool
append_san(const struct value_place *place, const char *text, struct err *err)
{
	return pattern_check_san(text, err) && append_rule(place, text, err);
}

/* A common name is any text, with at most a leading "*.". */
static bool
append_cn(const struct value_place *place, const char *text, struct err *err)
{
	const char *name = strncmp(text, "*.", 2) == 0 ? text + 2 : text;

	if (name[0] == '\0' || strchr(name, '*') != NULL)
		return err_set(err,
		    "\"%.64s\": a * stands for the whole first label and "
		    "nothing else: *.example.org",
		    text);
	return append_rule(place, text, err);
}

const struct value_type value_sans = {
	.name = "list of names",
	.list = VALUE_LIST,
	.item_size = sizeof(char *),
	.items_max = 1024,
	.read = append_san,
	.print = value_print_string,
	.equal = value_equal_string,
};

const struct value_type value_cns = {
	.name = "list of names",
	.list = VALUE_LIST,
	.item_size = sizeof(char *),
	.items_max = 1024,
	.read = append_cn,
	.print = value_print_string,
	.equal = value_equal_string,
};
