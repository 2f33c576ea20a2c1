/* The outcome and the text for every way in which a transfer can end. */
#include <errno.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/attr.h"
#include "staple/transfer_result.h"

static const struct row {
	const char *what;
	struct staple_transfer_result result;
	enum staple_outcome expect;
	const char *said;
} rows[] = {
	/* answers */
	{ "a body", { .http_status = 200, .len = 5 }, STAPLE_GOOD, "HTTP 200" },
	{ "no body", { .http_status = 200 }, STAPLE_EMPTY,
	    "HTTP 200 without a body" },
	{ "400", { .http_status = 400 }, STAPLE_HTTP_4XX, "HTTP 400" },
	{ "499", { .http_status = 499, .len = 5 }, STAPLE_HTTP_4XX,
	    "HTTP 499" },
	{ "500", { .http_status = 500 }, STAPLE_HTTP_5XX, "HTTP 500" },
	{ "600", { .http_status = 600 }, STAPLE_HTTP_OTHER, "HTTP 600" },
	{ "206", { .http_status = 206, .len = 5 }, STAPLE_HTTP_OTHER,
	    "HTTP 206" },
	{ "304", { .http_status = 304 }, STAPLE_HTTP_OTHER, "HTTP 304" },
	{ "a 503 that was too large",
	    { .http_status = 503, .error = STAPLE_ERROR_SIZE }, STAPLE_HTTP_5XX,
	    "HTTP 503" },
	{ "a 503 that took too long",
	    { .http_status = 503, .error = STAPLE_ERROR_TIMEOUT },
	    STAPLE_HTTP_5XX, "HTTP 503" },
	{ "a proxy that refuses",
	    { .proxy_status = 407, .error = STAPLE_ERROR_BROKEN },
	    STAPLE_PROXY_DENIED,
	    "the proxy requires a user and a password (HTTP 407)" },
	{ "a proxy that requires a user for http", { .http_status = 407 },
	    STAPLE_PROXY_DENIED,
	    "the proxy requires a user and a password (HTTP 407)" },
	{ "a proxy with an error",
	    { .proxy_status = 502, .error = STAPLE_ERROR_BROKEN },
	    STAPLE_HTTP_5XX, "HTTP 502 from the proxy" },
	/* redirects */
	{ "too many redirects",
	    { .http_status = 302, .error = STAPLE_ERROR_REDIRECTS },
	    STAPLE_REDIRECT_LOOP, "too many redirects" },
	{ "a redirect astray",
	    { .http_status = 302, .error = STAPLE_ERROR_REDIRECT },
	    STAPLE_REDIRECT_REFUSED,
	    "redirected to a URL that is not allowed" },
	{ "a name too many", { .error = STAPLE_ERROR_LOOKUPS },
	    STAPLE_NAME_TIMEOUT, "too many name look-ups without a result" },
	/* no connection */
	{ "a bad URL", { .error = STAPLE_ERROR_URL }, STAPLE_BAD_URL,
	    "not a URL that can be used" },
	{ "no name", { .error = STAPLE_ERROR_NAME }, STAPLE_NAME_NOT_FOUND,
	    "no such host" },
	{ "no name of the proxy", { .error = STAPLE_ERROR_PROXY_NAME },
	    STAPLE_NAME_NOT_FOUND, "no such host: the proxy" },
	{ "refused",
	    { .error = STAPLE_ERROR_CONNECT, .sys_errno = ECONNREFUSED },
	    STAPLE_CONNECTION_REFUSED, "connection refused" },
	{ "reset while connecting",
	    { .error = STAPLE_ERROR_CONNECT, .sys_errno = ECONNRESET },
	    STAPLE_CONNECTION_RESET, "connection reset" },
	{ "the kernel's timeout",
	    { .error = STAPLE_ERROR_CONNECT, .sys_errno = ETIMEDOUT },
	    STAPLE_TIMEOUT_CONNECT, "the kernel stopped connecting" },
	{ "no route",
	    { .error = STAPLE_ERROR_CONNECT, .sys_errno = EHOSTUNREACH },
	    STAPLE_UNREACHABLE, "No route to host" },
	{ "no reason known",
	    { .error = STAPLE_ERROR_CONNECT, .detail = "libcurl says" },
	    STAPLE_UNREACHABLE, "libcurl says" },
	{ "TLS: a certificate",
	    { .error = STAPLE_ERROR_TLS,
		.detail = "SSL certificate problem: certificate has expired" },
	    STAPLE_TLS_FAILED, "TLS: certificate has expired" },
	{ "TLS: a certificate, to libcurl 8.22",
	    { .error = STAPLE_ERROR_TLS,
		.detail = "SSL certificate OpenSSL verify result: certificate "
			  "has expired (10)" },
	    STAPLE_TLS_FAILED, "TLS: certificate has expired (10)" },
	{ "TLS: a number",
	    { .error = STAPLE_ERROR_TLS,
		.detail = "x error:0A00010B:SSL routines::wrong version" },
	    STAPLE_TLS_FAILED, "TLS: wrong version" },
	{ "TLS: nothing known", { .error = STAPLE_ERROR_TLS, .detail = "" },
	    STAPLE_TLS_FAILED, "TLS: handshake failed" },
	{ "TLS: a stranger's bytes",
	    { .error = STAPLE_ERROR_TLS, .detail = "\x1b[m\n and \xff" },
	    STAPLE_TLS_FAILED, "TLS: ?[m? and ?" },
	/* no response */
	{ "closed", { .error = STAPLE_ERROR_CLOSED }, STAPLE_CONNECTION_RESET,
	    "closed without a response" },
	{ "reset", { .error = STAPLE_ERROR_BROKEN, .sys_errno = ECONNRESET },
	    STAPLE_CONNECTION_RESET, "connection reset" },
	{ "broken otherwise",
	    { .error = STAPLE_ERROR_BROKEN, .detail = "libcurl says" },
	    STAPLE_CONNECTION_RESET, "libcurl says" },
	{ "not HTTP", { .error = STAPLE_ERROR_NO_HTTP }, STAPLE_HTTP_OTHER,
	    "the response is not HTTP" },
	{ "truncated in the headers",
	    { .error = STAPLE_ERROR_CUT, .phase = STAPLE_AT_HEADERS },
	    STAPLE_TRUNCATED, "truncated in the headers" },
	{ "cut in the body",
	    { .error = STAPLE_ERROR_CUT,
		.phase = STAPLE_AT_BODY,
		.http_status = 200,
		.len = 5 },
	    STAPLE_TRUNCATED, "truncated after 5 bytes of body" },
	{ "too large", { .error = STAPLE_ERROR_SIZE, .http_status = 200 },
	    STAPLE_TOO_LARGE, "the response is larger than allowed" },
	{ "out of memory", { .error = STAPLE_ERROR_MEMORY }, STAPLE_NO_MEMORY,
	    "out of memory" },
	{ "anything else",
	    { .error = STAPLE_ERROR_OTHER, .detail = "libcurl says" },
	    STAPLE_UNREACHABLE, "libcurl says" },
	/* no words */
	{ "no words for a connect",
	    { .error = STAPLE_ERROR_CONNECT, .detail = "" }, STAPLE_UNREACHABLE,
	    "no reason from libcurl" },
	{ "no words for what broke",
	    { .error = STAPLE_ERROR_BROKEN, .detail = "" },
	    STAPLE_CONNECTION_RESET, "no reason from libcurl" },
	{ "no words for anything else", { .error = STAPLE_ERROR_OTHER },
	    STAPLE_UNREACHABLE, "no reason from libcurl" },
};

Test(transfer_result, has_an_outcome_and_words_for_every_end)
{
	char said[STAPLE_SAID_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		cr_expect_eq(staple_transfer_outcome(&row->result, said),
		    row->expect, "%s", row->what);
		cr_expect_str_eq(said, row->said, "%s", row->what);
	}
}

static const struct timeout_row {
	enum staple_transfer_phase phase;
	bool dripping;
	int status;
	enum staple_outcome expect;
	const char *said;
} timeout_rows[] = {
	{ STAPLE_AT_NAME, false, 0, STAPLE_NAME_TIMEOUT,
	    "timed out after 3.3 s looking up the name" },
	{ STAPLE_AT_CONNECT, false, 0, STAPLE_TIMEOUT_CONNECT,
	    "timed out after 3.3 s connecting" },
	{ STAPLE_AT_TLS, false, 0, STAPLE_TIMEOUT_CONNECT,
	    "timed out after 3.3 s setting up TLS" },
	{ STAPLE_AT_HEADERS, false, 0, STAPLE_TIMEOUT_HEADERS,
	    "timed out after 3.3 s waiting for headers" },
	{ STAPLE_AT_HEADERS, false, 100, STAPLE_TIMEOUT_HEADERS,
	    "timed out after 3.3 s waiting for headers" },
	{ STAPLE_AT_BODY, false, 200, STAPLE_TIMEOUT_BODY,
	    "timed out after 3.3 s waiting for the body" },
	{ STAPLE_AT_BODY, true, 200, STAPLE_SLOW_DRIP,
	    "body incomplete after 3.3 s" },
};

Test(transfer_result, names_the_phase_of_a_timeout)
{
	char said[STAPLE_SAID_MAX];

	for (size_t i = 0; i < ARRAY_LEN(timeout_rows); i++) {
		const struct timeout_row *row = &timeout_rows[i];
		struct staple_transfer_result result = {
			.error = STAPLE_ERROR_TIMEOUT,
			.phase = row->phase,
			.http_status = row->status,
			.dripping = row->dripping,
			.took_ms = 3333,
		};

		cr_expect_eq(staple_transfer_outcome(&result, said),
		    row->expect, "%s", row->said);
		cr_expect_str_eq(said, row->said);
	}
}

Test(transfer_result, cuts_words_that_are_too_many)
{
	char said[STAPLE_SAID_MAX], detail[2 * STAPLE_SAID_MAX];
	struct staple_transfer_result result = {
		.error = STAPLE_ERROR_OTHER,
		.detail = detail,
	};

	memset(detail, 'x', sizeof(detail));
	detail[sizeof(detail) - 1] = '\0';
	cr_expect_eq(
	    staple_transfer_outcome(&result, said), STAPLE_UNREACHABLE);
	cr_expect_eq(strlen(said), STAPLE_SAID_MAX - 1);
}
