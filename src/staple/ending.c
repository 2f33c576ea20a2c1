/*
 * From the way an exchange ended to its outcome and its words.  Pure; any
 * thread.  A status that came decides before anything that happened after it:
 * a 503 whose page never ends is a 503.
 */
#include "staple/ending.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"

struct verdict {
	enum staple_outcome outcome;
	const char *words; /* NULL: written for the occasion */
};

/* By trouble; UNASKED: it depends. */
static const struct verdict verdicts[] = {
	[STAPLE_TROUBLE_NONE] = { STAPLE_UNASKED, NULL },
	[STAPLE_TROUBLE_URL] = { STAPLE_BAD_URL, "not a URL that can be used" },
	[STAPLE_TROUBLE_LOOKUPS] = { STAPLE_NAME_TIMEOUT,
	    "too many name look-ups are hanging" },
	[STAPLE_TROUBLE_NAME] = { STAPLE_NAME_NOT_FOUND, "no such host" },
	[STAPLE_TROUBLE_PROXY_NAME] = { STAPLE_NAME_NOT_FOUND,
	    "no such host: the proxy" },
	[STAPLE_TROUBLE_CONNECT] = { STAPLE_UNASKED, NULL },
	[STAPLE_TROUBLE_TLS] = { STAPLE_TLS_FAILED, NULL },
	[STAPLE_TROUBLE_TIMEOUT] = { STAPLE_UNASKED, NULL },
	[STAPLE_TROUBLE_CLOSED] = { STAPLE_CONNECTION_RESET,
	    "closed without an answer" },
	[STAPLE_TROUBLE_BROKEN] = { STAPLE_CONNECTION_RESET, NULL },
	[STAPLE_TROUBLE_CUT] = { STAPLE_TRUNCATED, NULL },
	[STAPLE_TROUBLE_SIZE] = { STAPLE_TOO_LARGE,
	    "the answer is larger than allowed" },
	[STAPLE_TROUBLE_NO_HTTP] = { STAPLE_HTTP_OTHER,
	    "what came is not HTTP" },
	[STAPLE_TROUBLE_REDIRECT] = { STAPLE_REDIRECT_REFUSED,
	    "redirected to where we do not go" },
	[STAPLE_TROUBLE_REDIRECTS] = { STAPLE_REDIRECT_LOOP,
	    "redirected too often" },
	[STAPLE_TROUBLE_MEMORY] = { STAPLE_NO_MEMORY, "out of memory" },
	[STAPLE_TROUBLE_OTHER] = { STAPLE_UNREACHABLE, NULL },
};

static void say(char *said, const char *format, ...) PRINTF_LIKE(2, 3);

static void
say(char *said, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(said, STAPLE_SAID_MAX, format, args);
	va_end(args);
}

/* Never empty. */
static const char *
detail_of(const struct staple_ending *ending)
{
	return ending->detail != NULL && ending->detail[0] != '\0'
		   ? ending->detail
		   : "libcurl gives no reason";
}

static enum staple_outcome
judge_status(int status)
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
judge_proxy(int status, char *said)
{
	if (status == 407)
		say(said, "the proxy wants a user and a password (HTTP 407)");
	else
		say(said, "the proxy says HTTP %d", status);
	return status / 100 == 4 ? STAPLE_PROXY_DENIED : judge_status(status);
}

static enum staple_outcome
judge_answer(const struct staple_ending *ending, char *said)
{
	if (ending->http_status == 407)
		return judge_proxy(ending->http_status, said);
	if (ending->http_status != 200) {
		say(said, "HTTP %d", ending->http_status);
		return judge_status(ending->http_status);
	}
	if (ending->len == 0) {
		say(said, "HTTP 200 without a body");
		return STAPLE_EMPTY;
	}
	say(said, "HTTP 200");
	return STAPLE_GOOD;
}

static enum staple_outcome
judge_connect(const struct staple_ending *ending, char *said)
{
	switch (ending->sys_errno) {
	case ECONNREFUSED:
		say(said, "connection refused");
		return STAPLE_CONNECTION_REFUSED;
	case ECONNRESET:
		say(said, "connection reset");
		return STAPLE_CONNECTION_RESET;
	case ETIMEDOUT:
		say(said, "the kernel gave up connecting");
		return STAPLE_TIMEOUT_CONNECT;
	case 0:
		say(said, "%s", detail_of(ending));
		return STAPLE_UNREACHABLE;
	default:
		say(said, "%s", strerror(ending->sys_errno));
		return STAPLE_UNREACHABLE;
	}
}

static const struct verdict timeouts[] = {
	[STAPLE_AT_NAME] = { STAPLE_NAME_TIMEOUT, "looking up the name" },
	[STAPLE_AT_CONNECT] = { STAPLE_TIMEOUT_CONNECT, "connecting" },
	[STAPLE_AT_TLS] = { STAPLE_TIMEOUT_CONNECT, "setting up TLS" },
	[STAPLE_AT_HEADERS] = { STAPLE_TIMEOUT_HEADERS, "waiting for headers" },
	[STAPLE_AT_BODY] = { STAPLE_TIMEOUT_BODY, "waiting for the body" },
};

static enum staple_outcome
judge_timeout(const struct staple_ending *ending, char *said)
{
	const struct verdict *verdict = &timeouts[ending->phase];
	double took_s = ending->took_ms / 1000.0;

	if (ending->phase == STAPLE_AT_BODY && ending->dripping) {
		say(said, "still dripping after %.1f s", took_s);
		return STAPLE_SLOW_DRIP;
	}
	say(said, "timed out after %.1f s %s", took_s, verdict->words);
	return verdict->outcome;
}

/* Without the beginnings that libcurl 7.88 and 8.22 put before the reason of a
 * refused certificate, and OpenSSL before any other:
 * "error:0A00010B:SSL routines::wrong version number". */
static void
say_tls(char *said, const char *detail)
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
	say(said, "TLS: %s", detail[0] != '\0' ? detail : "handshake failed");
}

static void
say_verdict(const struct staple_ending *ending, const char *words, char *said)
{
	switch (ending->trouble) {
	case STAPLE_TROUBLE_TLS:
		say_tls(said, ending->detail);
		break;
	case STAPLE_TROUBLE_BROKEN:
		say(said, "%s",
		    ending->sys_errno == ECONNRESET ? "connection reset"
						    : detail_of(ending));
		break;
	case STAPLE_TROUBLE_CUT:
		if (ending->phase == STAPLE_AT_BODY)
			say(said, "cut after %zu bytes of body", ending->len);
		else
			say(said, "cut in the headers");
		break;
	default:
		say(said, "%s", words != NULL ? words : detail_of(ending));
	}
}

/* RFC 9110 15.2: 1xx is not the answer yet.  A 200 has more to get right. */
static bool
status_decides(const struct staple_ending *ending)
{
	switch (ending->trouble) {
	case STAPLE_TROUBLE_REDIRECT:
	case STAPLE_TROUBLE_REDIRECTS:
		return false; /* it only led us there */
	default:
		return ending->http_status > 200;
	}
}

static enum staple_outcome
judge(const struct staple_ending *ending, char *said)
{
	const struct verdict *verdict = &verdicts[ending->trouble];

	if (ending->proxy_status != 0)
		return judge_proxy(ending->proxy_status, said);
	if (status_decides(ending))
		return judge_answer(ending, said);
	switch (ending->trouble) {
	case STAPLE_TROUBLE_NONE:
		return judge_answer(ending, said);
	case STAPLE_TROUBLE_CONNECT:
		return judge_connect(ending, said);
	case STAPLE_TROUBLE_TIMEOUT:
		return judge_timeout(ending, said);
	default:
		say_verdict(ending, verdict->words, said);
		return verdict->outcome;
	}
}

enum staple_outcome
staple_ending_judge(const struct staple_ending *ending, char *said)
{
	enum staple_outcome outcome = judge(ending, said);

	/* libcurl quotes names out of a stranger's certificate. */
	for (; *said != '\0'; said++) {
		if (*said < ' ' || *said > '~')
			*said = '?';
	}
	return outcome;
}
