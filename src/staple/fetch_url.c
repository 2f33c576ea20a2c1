/*
 * What is made of a responder's URL: its host, and the URL of a GET.  Pure;
 * any thread.  In a GET, what follows the path stays where it was: appended to
 * a query, the request would be part of its last value.
 */
#include "staple/fetch.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "staple/cert.h"

/* An IPv6 address has colons of its own, in its brackets. */
static size_t
name_len(const char *authority)
{
	return authority[0] == '[' ? strcspn(authority, "]") + 1
				   : strcspn(authority, ":/?#");
}

bool
staple_fetch_host(const char *url, char *host, size_t max)
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
staple_fetch_get_url(const char *url, const unsigned char *der, size_t len)
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
