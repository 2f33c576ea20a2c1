/*
 * Every outcome of an attempt, as one table.  Any thread.  The next step of an
 * attempt is a column of it, so that no outcome lacks one: the other method
 * after an HTTP error, the other hash if the responder does not recognise the
 * certificate, another responder after any other failure.
 */
#include "staple/outcome.h"

#include "base/attr.h"

struct outcome_row {
	const char *name;
	enum staple_class class;
	const char *sentence;
	const char *advice;
};

static const struct outcome_row rows[] = {
	[STAPLE_UNASKED] = { "unasked", STAPLE_CLASS_NONE, "no attempt yet",
	    "" },

	[STAPLE_GOOD] = { "good", STAPLE_CLASS_ANSWER,
	    "the certificate is good", "" },
	[STAPLE_UNCHANGED] = { "unchanged", STAPLE_CLASS_ANSWER,
	    "the response is unchanged", "" },
	[STAPLE_REVOKED] = { "revoked", STAPLE_CLASS_ANSWER,
	    "the certificate is revoked",
	    "replace the certificate and its key" },
	[STAPLE_UNKNOWN] = { "unknown", STAPLE_CLASS_HASH,
	    "the responder does not recognise the certificate (unknown)",
	    "a new certificate is often unknown for some minutes; else contact "
	    "the CA, or check that the URL is one of the CA's" },

	[STAPLE_NO_RESPONDER] = { "no_responder", STAPLE_CLASS_NONE,
	    "there is no responder URL",
	    "configure the URL of the CA's responder" },
	[STAPLE_NO_ISSUER] = { "no_issuer", STAPLE_CLASS_URL,
	    "the issuer's certificate was not found",
	    "append the issuer's certificate to the chain, or configure a CA "
	    "file that contains it" },
	[STAPLE_CERTIFICATE_EXPIRED] = { "certificate_expired",
	    STAPLE_CLASS_NONE, "the certificate has expired",
	    "renew the certificate" },

	[STAPLE_BAD_URL] = { "bad_url", STAPLE_CLASS_URL,
	    "invalid responder URL",
	    "configure an http or https URL without a user name" },
	[STAPLE_NAME_NOT_FOUND] = { "name_not_found", STAPLE_CLASS_URL,
	    "host name of the responder not found",
	    "check the name service of this host, and the URL" },
	[STAPLE_NAME_TIMEOUT] = { "name_timeout", STAPLE_CLASS_URL,
	    "name look-up timed out", "check the name servers of this host" },
	[STAPLE_CONNECTION_REFUSED] = { "connection_refused", STAPLE_CLASS_URL,
	    "connection refused",
	    "check the port of the URL, and whether a firewall refuses" },
	[STAPLE_UNREACHABLE] = { "unreachable", STAPLE_CLASS_URL,
	    "responder unreachable",
	    "check routes and firewall, or configure a proxy" },
	[STAPLE_CONNECTION_RESET] = { "connection_reset", STAPLE_CLASS_URL,
	    "connection reset",
	    "check whether a firewall or proxy on the way interferes" },
	[STAPLE_TLS_FAILED] = { "tls_failed", STAPLE_CLASS_URL,
	    "TLS handshake with the responder failed",
	    "configure a CA file that trusts the responder's certificate" },
	[STAPLE_PROXY_DENIED] = { "proxy_denied", STAPLE_CLASS_URL,
	    "request refused by the HTTP proxy",
	    "allow this host in the proxy; if it requires a user, set "
	    "the environment, http_proxy=http://USER:PASSWORD@HOST:PORT" },
	[STAPLE_TIMEOUT_CONNECT] = { "timeout_connect", STAPLE_CLASS_URL,
	    "connection timed out",
	    "check that a firewall lets this host out, or configure a proxy" },
	[STAPLE_TIMEOUT_HEADERS] = { "timeout_headers", STAPLE_CLASS_URL,
	    "no HTTP response in time", "" },
	[STAPLE_TIMEOUT_BODY] = { "timeout_body", STAPLE_CLASS_URL,
	    "response body stalled", "" },
	[STAPLE_SLOW_DRIP] = { "slow_drip", STAPLE_CLASS_URL,
	    "response body too slow", "" },

	[STAPLE_HTTP_4XX] = { "http_4xx", STAPLE_CLASS_METHOD,
	    "HTTP status 4xx",
	    "check that the URL is that of an OCSP responder" },
	[STAPLE_HTTP_5XX] = { "http_5xx", STAPLE_CLASS_METHOD,
	    "HTTP status 5xx", "" },
	[STAPLE_HTTP_OTHER] = { "http_other", STAPLE_CLASS_METHOD,
	    "unexpected HTTP status",
	    "check that the URL is that of an OCSP responder" },
	[STAPLE_REDIRECT_LOOP] = { "redirect_loop", STAPLE_CLASS_METHOD,
	    "more than three redirects",
	    "configure the URL at which the redirects should end" },
	[STAPLE_REDIRECT_REFUSED] = { "redirect_refused", STAPLE_CLASS_METHOD,
	    "redirect to a URL that is not allowed",
	    "configure the URL of the responder itself" },
	[STAPLE_NOT_OCSP] = { "not_ocsp", STAPLE_CLASS_METHOD,
	    "not an OCSP response",
	    "check that the URL is that of an OCSP responder and that no "
	    "login page or proxy responds in its place" },
	[STAPLE_EMPTY] = { "empty", STAPLE_CLASS_METHOD, "empty response",
	    "check that the URL is that of an OCSP responder" },
	[STAPLE_TRUNCATED] = { "truncated", STAPLE_CLASS_METHOD,
	    "truncated response",
	    "check whether a proxy on the way truncates responses" },
	/* Do not retry an oversized response with the other method. */
	[STAPLE_TOO_LARGE] = { "too_large", STAPLE_CLASS_URL,
	    "response larger than allowed",
	    "check the URL, or allow larger responses" },
	[STAPLE_MALFORMED] = { "malformed", STAPLE_CLASS_METHOD,
	    "malformed OCSP response",
	    "check that the URL is that of an OCSP responder" },
	[STAPLE_TRAILING_BYTES] = { "trailing_bytes", STAPLE_CLASS_METHOD,
	    "bytes behind the OCSP response",
	    "report to the CA that its responder adds bytes" },

	[STAPLE_MALFORMED_REQUEST] = { "malformed_request", STAPLE_CLASS_URL,
	    "responder error malformedRequest",
	    "check that the URL is one of the certificate's own CA" },
	[STAPLE_INTERNAL_ERROR] = { "internal_error", STAPLE_CLASS_URL,
	    "responder error internalError", "" },
	[STAPLE_TRY_LATER] = { "try_later", STAPLE_CLASS_URL,
	    "responder error tryLater", "" },
	[STAPLE_SIG_REQUIRED] = { "sig_required", STAPLE_CLASS_URL,
	    "responder error sigRequired",
	    "configure a responder that accepts unsigned requests" },
	[STAPLE_UNAUTHORIZED] = { "unauthorized", STAPLE_CLASS_HASH,
	    "responder error unauthorized",
	    "a new certificate is often unauthorized for some minutes; else "
	    "check that the URL is one of the certificate's own CA" },

	[STAPLE_WRONG_CERTIFICATE] = { "wrong_certificate", STAPLE_CLASS_URL,
	    "response about another certificate",
	    "check that the URL is one of the certificate's own CA" },
	[STAPLE_WRONG_SIGNER] = { "wrong_signer", STAPLE_CLASS_URL,
	    "response of a signer without authority",
	    "check that the URL is one of the certificate's own CA" },
	[STAPLE_BAD_SIGNATURE] = { "bad_signature", STAPLE_CLASS_URL,
	    "invalid signature of the response",
	    "report it to the CA, and check for a proxy on the way" },
	[STAPLE_WEAK_SIGNATURE] = { "weak_signature", STAPLE_CLASS_URL,
	    "signature too weak for clients",
	    "report to the CA: its responder signs with an outdated digest or "
	    "key" },
	[STAPLE_EXPIRED] = { "expired", STAPLE_CLASS_URL, "expired response",
	    "check the clock of this host; else the responder serves old "
	    "responses: report it to the CA" },
	[STAPLE_NOT_YET_VALID] = { "not_yet_valid", STAPLE_CLASS_URL,
	    "response not yet valid", "check the clock of this host" },
	[STAPLE_CONTRADICTORY] = { "contradictory", STAPLE_CLASS_URL,
	    "response with two statuses of the certificate",
	    "report to the CA: the response has two different statuses" },
	[STAPLE_TOO_LARGE_TO_STAPLE] = { "too_large_to_staple",
	    STAPLE_CLASS_URL, "response too large for clients",
	    "report to the CA: clients refuse more than 16 KB" },
	[STAPLE_OLDER] = { "older", STAPLE_CLASS_URL,
	    "response older than the one held", "" },

	[STAPLE_FILE_UNREADABLE] = { "file_unreadable", STAPLE_CLASS_URL,
	    "staple_file not readable", "check its path and its permissions" },
	[STAPLE_NO_MEMORY] = { "no_memory", STAPLE_CLASS_URL, "out of memory",
	    "give the process more memory" },
};
_Static_assert(ARRAY_LEN(rows) == STAPLE_OUTCOMES, "an outcome has no row");

/* An application may be newer than the library that it runs with. */
static const struct outcome_row *
find(enum staple_outcome outcome)
{
	static const struct outcome_row unknown = { "?", STAPLE_CLASS_NONE,
		"an outcome that this library does not define", "" };

	return (unsigned)outcome < STAPLE_OUTCOMES ? &rows[outcome] : &unknown;
}

const char *
staple_outcome_name(enum staple_outcome outcome)
{
	return find(outcome)->name;
}

enum staple_class
staple_outcome_class(enum staple_outcome outcome)
{
	return find(outcome)->class;
}

const char *
staple_outcome_sentence(enum staple_outcome outcome)
{
	return find(outcome)->sentence;
}

const char *
staple_outcome_advice(enum staple_outcome outcome)
{
	return find(outcome)->advice;
}

bool
staple_outcome_is_failure(enum staple_outcome outcome)
{
	return find(outcome)->class > STAPLE_CLASS_ANSWER;
}

/* The outcomes stand in this order in staple.h, but for these. */
static int
rank(enum staple_outcome outcome)
{
	if (outcome == STAPLE_UNKNOWN)
		return STAPLE_OUTCOMES;
	if (outcome == STAPLE_NO_MEMORY || outcome == STAPLE_FILE_UNREADABLE)
		return STAPLE_UNASKED + 1;
	return (int)outcome;
}

enum staple_outcome
staple_outcome_nearer(enum staple_outcome a, enum staple_outcome b)
{
	return rank(b) > rank(a) ? b : a;
}

const char *
staple_unsent_name(enum staple_unsent reason)
{
	static const char *const names[] = {
		[STAPLE_UNSENT_UNWANTED] = "unwanted",
		[STAPLE_UNSENT_NONE] = "none",
		[STAPLE_UNSENT_EXPIRED] = "expired",
		[STAPLE_UNSENT_NOT_YET_VALID] = "not_yet_valid",
		[STAPLE_UNSENT_NOT_FIRST] = "not_first",
		[STAPLE_UNSENT_REVOKED] = "revoked",
		[STAPLE_UNSENT_NO_MEMORY] = "no_memory",
	};
	_Static_assert(
	    ARRAY_LEN(names) == STAPLE_UNSENT_REASONS, "a reason has no name");

	return (unsigned)reason < STAPLE_UNSENT_REASONS ? names[reason] : "?";
}
