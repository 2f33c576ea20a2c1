/*
 * From the result of a transfer to its outcome and text.  Pure; any thread.  A
 * received status takes precedence over any later error: a 503 whose body never
 * ends is a 503.
 */
#include "staple/transfer_result.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"

struct result_row {
	enum staple_outcome outcome;
	const char *words; /* NULL: made from the result */
};

/* By error; UNASKED: depends on the result. */
static const struct result_row rows[] = {
	[STAPLE_ERROR_NONE] = { STAPLE_UNASKED, NULL },
	[STAPLE_ERROR_URL] = { STAPLE_BAD_URL, "not a URL that can be used" },
	[STAPLE_ERROR_LOOKUPS] = { STAPLE_NAME_TIMEOUT,
	    "too many name look-ups without a result" },
	[STAPLE_ERROR_NAME] = { STAPLE_NAME_NOT_FOUND, "no such host" },
	[STAPLE_ERROR_PROXY_NAME] = { STAPLE_NAME_NOT_FOUND,
	    "no such host: the proxy" },
	[STAPLE_ERROR_CONNECT] = { STAPLE_UNASKED, NULL },
	[STAPLE_ERROR_TLS] = { STAPLE_TLS_FAILED, NULL },
	[STAPLE_ERROR_TIMEOUT] = { STAPLE_UNASKED, NULL },
	[STAPLE_ERROR_CLOSED] = { STAPLE_CONNECTION_RESET,
	    "closed without a response" },
	[STAPLE_ERROR_BROKEN] = { STAPLE_CONNECTION_RESET, NULL },
	[STAPLE_ERROR_CUT] = { STAPLE_TRUNCATED, NULL },
	[STAPLE_ERROR_SIZE] = { STAPLE_TOO_LARGE,
	    "the response is larger than allowed" },
	[STAPLE_ERROR_NO_HTTP] = { STAPLE_HTTP_OTHER,
	    "the response is not HTTP" },
	[STAPLE_ERROR_REDIRECT] = { STAPLE_REDIRECT_REFUSED,
	    "redirected to a URL that is not allowed" },
	[STAPLE_ERROR_REDIRECTS] = { STAPLE_REDIRECT_LOOP,
	    "too many redirects" },
	[STAPLE_ERROR_MEMORY] = { STAPLE_NO_MEMORY, "out of memory" },
	[STAPLE_ERROR_OTHER] = { STAPLE_UNREACHABLE, NULL },
};

static void describe(char *said, const char *format, ...) PRINTF_LIKE(2, 3);

static void
describe(char *said, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(said, STAPLE_SAID_MAX, format, args);
	va_end(args);
}

/* Never empty. */
static const char *
detail_of(const struct staple_transfer_result *result)
{
	return result->detail != NULL && result->detail[0] != '\0'
		   ? result->detail
		   : "no reason from libcurl";
}

static enum staple_outcome
outcome_of_status(int status)
{
	switch (status / 100) {
	case 4:
		return STAPLE_HTTP_4XX;
	case 5:
		return STAPLE_HTTP_5XX;
	default:
		return STAPLE_HTTP_OTHER;
	}
}

/* A proxy that denies CONNECT, or demands authentication (407, RFC 9110 section
 * 15.5.8): the responder has not seen the request. */
static enum staple_outcome
outcome_of_proxy(int status, char *said)
{
	if (status == 407)
		describe(said,
		    "the proxy requires a user and a password (HTTP 407)");
	else
		describe(said, "HTTP %d from the proxy", status);
	return status / 100 == 4 ? STAPLE_PROXY_DENIED
				 : outcome_of_status(status);
}

static enum staple_outcome
outcome_of_response(const struct staple_transfer_result *result, char *said)
{
	if (result->http_status == 407)
		return outcome_of_proxy(result->http_status, said);
	if (result->http_status != 200) {
		describe(said, "HTTP %d", result->http_status);
		return outcome_of_status(result->http_status);
	}
	if (result->len == 0) {
		describe(said, "HTTP 200 without a body");
		return STAPLE_EMPTY;
	}
	describe(said, "HTTP 200");
	return STAPLE_GOOD;
}

static enum staple_outcome
outcome_of_connect(const struct staple_transfer_result *result, char *said)
{
	switch (result->sys_errno) {
	case ECONNREFUSED:
		describe(said, "connection refused");
		return STAPLE_CONNECTION_REFUSED;
	case ECONNRESET:
		describe(said, "connection reset");
		return STAPLE_CONNECTION_RESET;
	case ETIMEDOUT:
		describe(said, "the kernel stopped connecting");
		return STAPLE_TIMEOUT_CONNECT;
	case 0:
		describe(said, "%s", detail_of(result));
		return STAPLE_UNREACHABLE;
	default:
		describe(said, "%s", strerror(result->sys_errno));
		return STAPLE_UNREACHABLE;
	}
}

static const struct result_row timeouts[] = {
	[STAPLE_AT_NAME] = { STAPLE_NAME_TIMEOUT, "looking up the name" },
	[STAPLE_AT_CONNECT] = { STAPLE_TIMEOUT_CONNECT, "connecting" },
	[STAPLE_AT_TLS] = { STAPLE_TIMEOUT_CONNECT, "setting up TLS" },
	[STAPLE_AT_HEADERS] = { STAPLE_TIMEOUT_HEADERS, "waiting for headers" },
	[STAPLE_AT_BODY] = { STAPLE_TIMEOUT_BODY, "waiting for the body" },
};

static enum staple_outcome
outcome_of_timeout(const struct staple_transfer_result *result, char *said)
{
	const struct result_row *row = &timeouts[result->phase];
	double took_s = result->took_ms / 1000.0;

	if (result->phase == STAPLE_AT_BODY && result->dripping) {
		describe(said, "body incomplete after %.1f s", took_s);
		return STAPLE_SLOW_DRIP;
	}
	describe(said, "timed out after %.1f s %s", took_s, row->words);
	return row->outcome;
}

/* Without the beginnings that libcurl 7.88 and 8.22 put before the reason of a
 * refused certificate, and OpenSSL before any other:
 * "error:0A00010B:SSL routines::wrong version number". */
static void
describe_tls(char *said, const char *detail)
{
	static const char *const usual[] = { "SSL certificate problem: ",
		"SSL certificate OpenSSL verify result: ", "::" };

	for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
		const char *found = strstr(detail, usual[i]);

		if (found == NULL)
			continue;
		detail = found + strlen(usual[i]);
		break;
	}
	describe(
	    said, "TLS: %s", detail[0] != '\0' ? detail : "handshake failed");
}

static void
describe_error(
    const struct staple_transfer_result *result, const char *words, char *said)
{
	switch (result->error) {
	case STAPLE_ERROR_TLS:
		describe_tls(said, result->detail);
		break;
	case STAPLE_ERROR_BROKEN:
		describe(said, "%s",
		    result->sys_errno == ECONNRESET ? "connection reset"
						    : detail_of(result));
		break;
	case STAPLE_ERROR_CUT:
		if (result->phase == STAPLE_AT_BODY)
			describe(said, "truncated after %zu bytes of body",
			    result->len);
		else
			describe(said, "truncated in the headers");
		break;
	default:
		describe(said, "%s", words != NULL ? words : detail_of(result));
	}
}

/* RFC 9110 15.2: 1xx is not the response.  A 200 still needs its body. */
static bool
status_decides(const struct staple_transfer_result *result)
{
	switch (result->error) {
	case STAPLE_ERROR_REDIRECT:
	case STAPLE_ERROR_REDIRECTS:
		return false; /* the status is that of the redirect */
	default:
		return result->http_status > 200;
	}
}

static enum staple_outcome
find_outcome(const struct staple_transfer_result *result, char *said)
{
	const struct result_row *row = &rows[result->error];

	if (result->proxy_status != 0)
		return outcome_of_proxy(result->proxy_status, said);
	if (status_decides(result))
		return outcome_of_response(result, said);
	switch (result->error) {
	case STAPLE_ERROR_NONE:
		return outcome_of_response(result, said);
	case STAPLE_ERROR_CONNECT:
		return outcome_of_connect(result, said);
	case STAPLE_ERROR_TIMEOUT:
		return outcome_of_timeout(result, said);
	default:
		describe_error(result, row->words, said);
		return row->outcome;
	}
}

enum staple_outcome
staple_transfer_outcome(const struct staple_transfer_result *result, char *said)
{
	enum staple_outcome outcome = find_outcome(result, said);

	/* libcurl quotes names from untrusted certificates. */
	for (; *said != '\0'; said++) {
		if (*said < ' ' || *said > '~')
			*said = '?';
	}
	return outcome;
}
