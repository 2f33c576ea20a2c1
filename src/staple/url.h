/*
 * URLs of responders and issuers: the check, the host and the URL of a GET.
 * Pure; any thread.
 */
#ifndef STAPLE_URL_H
#define STAPLE_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

#define STAPLE_URL_LENGTH_MAX 2048
#define STAPLE_URL_HOST_MAX 512 /* room for a host of staple_url_host */

/*
 * A URL that is accepted: http or https, a host, no userinfo, no control
 * character or blank, at most STAPLE_URL_LENGTH_MAX bytes.  false: *why is a
 * constant clause ("it holds a user name").
 */
bool staple_url_check(const char *url, size_t len, const char **why) MUST_CHECK;

/* "host:port" of a URL in lower case; false: not a URL. */
bool staple_url_host(const char *url, char *host, size_t max) MUST_CHECK;

/* RFC 6960 A.1: url + "/" + escaped base64, no doubled slash; free() it. */
char *staple_url_for_get(
    const char *url, const unsigned char *der, size_t len) MUST_CHECK;

#endif
