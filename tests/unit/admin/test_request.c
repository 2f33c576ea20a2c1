/*
 * The head of a request: what is understood, what is refused, and that a head
 * is accepted in whatever pieces it arrives.
 */
#include "admin/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

static enum request_result
parse(const char *text, struct request *request)
{
	return request_parse(text, strlen(text), request);
}

Test(request, reads_method_path_and_certificate)
{
	static const struct {
		const char *head;
		enum request_method method;
		const char *path, *certificate;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n\r\n", REQUEST_GET, "/", "" },
		{ "GET /status HTTP/1.0\r\nHost: a\r\n\r\n", REQUEST_GET,
		    "/status", "" },
		{ "GET /metrics HTTP/1.1\nHost: a\n\n", REQUEST_GET, "/metrics",
		    "" },
		{ "POST /refresh?certificate=a.example HTTP/1.1\r\n\r\n",
		    REQUEST_POST, "/refresh", "a.example" },
		{ "POST /refresh?x=1&certificate=%2a.example&y HTTP/1.1\r\n"
		  "Content-Length: 0\r\n\r\n",
		    REQUEST_POST, "/refresh", "*.example" },
		{ "DELETE /status HTTP/1.1\r\n\r\n", REQUEST_OTHER, "/status",
		    "" },
		{ "GET /?certificates=no HTTP/1.1\r\n\r\nbytes behind it",
		    REQUEST_GET, "/", "" },
	};
	struct request request;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(parse(rows[i].head, &request), REQUEST_DONE, "%s",
		    rows[i].head);
		cr_expect_eq(
		    request.method, rows[i].method, "%s", rows[i].head);
		cr_expect_str_eq(request.path, rows[i].path);
		cr_expect_str_eq(request.certificate, rows[i].certificate);
	}
}

Test(request, refuses_what_is_no_request)
{
	static const char *const heads[] = {
		"GET\r\n\r\n",
		"GET /\r\n\r\n",
		"GET / HTTP/2\r\n\r\n",
		"GET / HTTP/1.1 more\r\n\r\n",
		"GET  HTTP/1.1\r\n\r\n",
		"GET status HTTP/1.1\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\n\r\n",
		"GET /%zz HTTP/1.1\r\n\r\n",
		"GET /%4 HTTP/1.1\r\n\r\n",
		"GET /a%0ab HTTP/1.1\r\n\r\n",
		"GET /?certificate=%00 HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n",
		"GET / HTTP/1.1\r\n: no name\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"\x16\x03\x01\x02\n\n",
		"\r\n",
	};
	struct request request;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		cr_expect_eq(
		    parse(heads[i], &request), REQUEST_BAD, "%s", heads[i]);
	cr_expect_eq(request_parse("GET /\0 HTTP/1.1\r\n\r\n", 19, &request),
	    REQUEST_BAD);
}

Test(request, refuses_a_body)
{
	static const char *const fields[] = { "Content-Length: 1",
		"content-length:5", "Transfer-Encoding: chunked",
		"Content-Length: 00", "Content-Length:" };
	struct request request;
	char head[128];

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		snprintf(head, sizeof(head),
		    "POST /reload HTTP/1.1\r\n%s\r\nA: b\r\n\r\n", fields[i]);
		cr_expect_eq(
		    parse(head, &request), REQUEST_HAS_BODY, "%s", fields[i]);
	}
}

Test(request, waits_for_the_rest_of_a_head)
{
	static const char head[] =
	    "GET /status HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
	struct request request;

	for (size_t len = 0; len < sizeof(head) - 1; len++) {
		char *copy = malloc(len + 1); /* exact: for the sanitizer */

		memcpy(copy, head, len);
		cr_expect_eq(request_parse(copy, len, &request), REQUEST_MORE,
		    "%zu bytes", len);
		free(copy);
	}
}

Test(request, limits_the_head)
{
	static char head[REQUEST_HEAD_MAX + 1];
	struct request request;

	memset(head, 'a', sizeof(head));
	cr_expect_eq(
	    request_parse(head, REQUEST_HEAD_MAX - 1, &request), REQUEST_MORE);
	cr_expect_eq(
	    request_parse(head, REQUEST_HEAD_MAX, &request), REQUEST_TOO_LARGE);
	memcpy(head, "GET / HTTP/1.1\r\nA: ", 19);
	cr_expect_eq(
	    request_parse(head, REQUEST_HEAD_MAX, &request), REQUEST_TOO_LARGE);
}

Test(request, limits_path_and_value)
{
	char head[1024], text[512];
	struct request request;

	memset(text, 'a', sizeof(text));
	snprintf(head, sizeof(head), "GET /%.*s HTTP/1.1\r\n\r\n",
	    REQUEST_PATH_MAX - 2, text);
	cr_expect_eq(parse(head, &request), REQUEST_DONE);
	snprintf(head, sizeof(head), "GET /%.*s HTTP/1.1\r\n\r\n",
	    REQUEST_PATH_MAX - 1, text);
	cr_expect_eq(parse(head, &request), REQUEST_BAD);
	snprintf(head, sizeof(head), "GET /?certificate=%.*s HTTP/1.1\r\n\r\n",
	    REQUEST_VALUE_MAX, text);
	cr_expect_eq(parse(head, &request), REQUEST_BAD);
}
