/*
 * URLs of responders and of a proxy.  What could never be fetched is refused
 * here, where the line is known; a user name is refused too, as it would come
 * with a password, which neither --print-config nor a log line may show.  Any
 * thread.
 */
#include <string.h>
#include <strings.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/arena.h"
#include "config/value.h"

#define URLS_MAX 8 /* more are never asked about one certificate */
#define URL_LENGTH_MAX 2048
#define AUTHORITY_MAX 280 /* the longest host, brackets and a port */

/* What follows the scheme; NULL: another scheme, or none. */
static const char *
after_scheme(const char *url)
{
	if (strncasecmp(url, "http://", 7) == 0)
		return url + 7;
	if (strncasecmp(url, "https://", 8) == 0)
		return url + 8;
	return NULL;
}

/* RFC 3986 §2: neither blanks nor anything beyond ASCII. */
static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* "host", "host:port" or the same with an address; ends where a path may
 * begin. */
static bool
check_authority(const char *text, struct err *err)
{
	char authority[AUTHORITY_MAX + sizeof(":80")], host[256];
	size_t length = strcspn(text, "/?#");
	uint16_t port;

	if (length > AUTHORITY_MAX) {
		err_set(err, "the host is longer than 253 characters");
		return false;
	}
	memcpy(authority, text, length);
	authority[length] = '\0';
	if (strchr(authority, '@') != NULL) {
		err_set(err, "leave out the user name and what is with it");
		return false;
	}
	if (length == 0 || authority[length - 1] == ']' ||
	    strchr(authority, ':') == NULL)
		memcpy(authority + length, ":80", sizeof(":80"));
	if (!addr_split(authority, host, sizeof(host), &port, err))
		return false;
	if (port == 0)
		err_set(err, "port 0 cannot be asked");
	return port != 0;
}

static bool
check_url(const char *url, struct err *err)
{
	const char *authority = after_scheme(url);

	if (authority == NULL) {
		err_set(err,
		    "\"%.64s\" does not begin with http:// or https://", url);
		return false;
	}
	if (strlen(url) > URL_LENGTH_MAX) {
		err_set(err, "a URL has at most %d bytes", URL_LENGTH_MAX);
		return false;
	}
	if (!is_plain(url)) {
		err_set(err,
		    "a URL holds no blanks and nothing but ASCII: write other "
		    "bytes as %%XX");
		return false;
	}
	return check_authority(authority, err);
}

static bool
take_url(const struct value_place *place, const char *text, struct err *err)
{
	const struct config_strings *list = place->field;

	if (list->count >= URLS_MAX)
		return value_too_many(URLS_MAX, err);
	return check_url(text, err) &&
	       value_append(place, &text, sizeof(text), err);
}

static bool
read_urls(const struct value_place *place, const char *text, struct err *err)
{
	return value_each_item(place, text, take_url, err);
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
		err_set(err,
		    "a user and a password do not belong into this file: leave "
		    "the key out and name the proxy in the environment of the "
		    "process, http_proxy=http://USER:PASSWORD@HOST:PORT");
		return false;
	} else if (!check_url(text, err))
		return false;
	copy = arena_copy(place->arena, text, strlen(text));
	if (copy == NULL)
		return value_no_memory(err);
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

static bool
equal_proxy(const void *a, const void *b)
{
	return value_same_text(
	    *(const char *const *)a, *(const char *const *)b);
}

const struct value_type value_urls = {
	.name = "list of URLs",
	.list = VALUE_LIST,
	.read = read_urls,
	.print = value_print_strings,
	.equal = value_equal_strings,
};

const struct value_type value_proxy = {
	.name = "URL or none",
	.read = read_proxy,
	.print = print_proxy,
	.equal = equal_proxy,
};
