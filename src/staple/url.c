/*
 * URLs of responders and issuers.  Pure; any thread.  They come from untrusted
 * certificates and go to libcurl, resolvers, logs and status pages, so only the
 * characters of RFC 3986 are accepted, and nothing that two parsers could read
 * in two ways.  In a GET the query stays behind the request: a request appended
 * to a query would become part of its last value.
 */
#include "staple/url.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

/* RFC 3986 2: the rest of ASCII must be percent-encoded. */
static bool
may_stand_in_url(unsigned char byte)
{
	return byte > ' ' && byte < 0x7f && strchr("\"<>\\^`{|}", byte) == NULL;
}

static bool
may_stand_in_host(unsigned char byte)
{
	return isalnum(byte) || byte == '-' || byte == '.' || byte == '_';
}

static bool
may_stand_in_address(unsigned char byte)
{
	return isxdigit(byte) || byte == ':' || byte == '.';
}

static size_t
span(const char *text, size_t len, bool (*may_stand)(unsigned char))
{
	size_t i = 0;

	while (i < len && may_stand((unsigned char)text[i]))
		i++;
	return i;
}

/* A name, an IPv4 address or an IPv6 one in brackets; 0: none of them. */
static size_t
host_length(const char *text, size_t len)
{
	size_t inside;

	if (len == 0 || text[0] != '[')
		return span(text, len, may_stand_in_host);
	inside = span(text + 1, len - 1, may_stand_in_address);
	if (inside == 0 || inside + 1 == len || text[inside + 1] != ']')
		return 0;
	return inside + 2;
}

/* Nothing, ":" (RFC 3986 3.2.3: the default) or ":1" to ":65535". */
static bool
is_port(const char *text, size_t len)
{
	unsigned port = 0;

	for (size_t i = 1; i < len; i++) {
		if (!isdigit((unsigned char)text[i]) || port > UINT16_MAX)
			return false;
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	return len <= 1 || (port > 0 && port <= UINT16_MAX);
}

static const char *
fault_in_authority(const char *text, size_t len)
{
	size_t host = host_length(text, len);

	if (memchr(text, '@', len) != NULL)
		return "it has a user name";
	if (host == 0 || (host < len && text[host] != ':'))
		return "it has no valid host";
	if (!is_port(text + host, len - host))
		return "its port is not a number from 1 to 65535";
	return NULL;
}

static bool
begins_with(const char *text, size_t len, const char *start)
{
	return len >= strlen(start) &&
	       strncasecmp(text, start, strlen(start)) == 0;
}

static const char *
fault_in_url(const char *url, size_t len)
{
	size_t start, end;

	if (len > STAPLE_URL_LENGTH_MAX)
		return "it is too long";
	if (span(url, len, may_stand_in_url) < len)
		return "it has a byte that is not valid in a URL";
	if (begins_with(url, len, "http://"))
		start = strlen("http://");
	else if (begins_with(url, len, "https://"))
		start = strlen("https://");
	else
		return "it is neither http nor https";
	for (end = start; end < len; end++)
		if (strchr("/?#", url[end]) != NULL)
			break;
	return fault_in_authority(url + start, end - start);
}

bool
staple_url_check(const char *url, size_t len, const char **why)
{
	*why = fault_in_url(url, len);
	return *why == NULL;
}

/* An IPv6 address has colons inside its brackets. */
static size_t
name_len(const char *authority)
{
	return authority[0] == '[' ? strcspn(authority, "]") + 1
				   : strcspn(authority, ":/?#");
}

bool
staple_url_host(const char *url, char *host, size_t max)
{
	const char *why, *port;
	size_t scheme, name, len;
	int printed;

	if (!staple_url_check(url, strlen(url), &why))
		return false;
	scheme = strcspn(url, ":");
	url += scheme + strlen("://");
	name = name_len(url);
	port = url + name + 1;
	len = strcspn(url, "/?#");
	if (len <= name + 1) { /* none, or an empty one */
		port = scheme == strlen("https") ? "443" : "80";
		len = name + 1 + strlen(port);
	}
	printed = snprintf(host, max, "%.*s:%.*s", (int)name, url,
	    (int)(len - name - 1), port);
	if (printed < 0 || (size_t)printed >= max)
		return false;
	for (; *host != '\0'; host++)
		*host = (char)tolower((unsigned char)*host);
	return true;
}

/* Where the path ends, without the slashes at its end. */
static size_t
base_len(const char *url)
{
	const char *scheme = strstr(url, "://");
	size_t least = scheme != NULL ? (size_t)(scheme - url) + 3 : 0;
	size_t len = strcspn(url, "?#");

	while (len > least && url[len - 1] == '/')
		len--;
	return len;
}

/* RFC 6960 A.1: the base64 is URL-encoded; of its letters three need it. */
static char *
escape(char *out, const char *base64)
{
	for (; *base64 != '\0'; base64++) {
		const char *code = *base64 == '+'   ? "%2B"
				   : *base64 == '/' ? "%2F"
				   : *base64 == '=' ? "%3D"
						    : NULL;

		if (code != NULL)
			out = stpcpy(out, code);
		else
			*out++ = *base64;
	}
	return out;
}

char *
staple_url_for_get(const char *url, const unsigned char *der, size_t len)
{
	const char *query = url + strcspn(url, "?#");
	size_t base = base_len(url), query_len = strcspn(query, "#");
	char *base64, *made, *at;

	if (len > INT_MAX / 4)
		return NULL;
	base64 = malloc((len + 2) / 3 * 4 + 1);
	/* Three for each letter, a slash, the terminator. */
	made = malloc(base + (len + 2) / 3 * 12 + query_len + 2);
	if (base64 != NULL && made != NULL) {
		EVP_EncodeBlock((unsigned char *)base64, der, (int)len);
		at = mempcpy(made, url, base);
		*at++ = '/';
		at = escape(at, base64);
		at = mempcpy(at, query, query_len);
		*at = '\0';
	} else {
		free(made);
		made = NULL;
	}
	free(base64);
	return made;
}
