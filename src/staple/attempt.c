/*
 * Which responder is asked next, and how.  Staple thread, or whoever diagnoses.
 * That no try is made twice is kept by one bit per try; a URL that has a bit
 * set has had its turn, so the order of the URLs needs no other bookkeeping.
 */
#include "staple/attempt.h"

#include <string.h>

#include <openssl/evp.h>

#include "staple/outcome.h"

enum {
	GET_URL_MAX = 255,
	GET_DER_MAX = GET_URL_MAX / 4 * 3,
	BASE64_MAX = GET_DER_MAX / 3 * 4 + 1
};

static uint8_t
bit(const struct staple_try *try)
{
	return (uint8_t)(1u << (2 * (unsigned)try->hash + try->get));
}

static bool
is_done(const struct staple_attempt *attempt, const struct staple_try *try)
{
	return (attempt->done[try->url] & bit(try)) != 0;
}

static void
mark_done(struct staple_attempt *attempt, const struct staple_try *try)
{
	attempt->done[try->url] |= bit(try);
}

/*
 * RFC 5019 5: a request of at most 255 bytes in all, after encoding and with
 * scheme, delimiters and host, is sent with GET, so that caches can help.
 */
static bool
is_short(const char *url, const struct staple_request *request)
{
	unsigned char base64[BASE64_MAX];
	size_t len = strlen(url) + 1;

	if (request->len > GET_DER_MAX)
		return false;
	EVP_EncodeBlock(base64, request->der, (int)request->len);
	for (const unsigned char *at = base64; *at != '\0'; at++)
		len += strchr("+/=", *at) != NULL ? 3 : 1;
	return len <= GET_URL_MAX;
}

/* How a URL is begun with. */
static struct staple_try
opening(const struct staple_attempt *attempt, size_t url)
{
	const struct staple_cert *cert = attempt->cert;

	return (struct staple_try){ .url = url,
		.hash = STAPLE_SHA1,
		.get = attempt->get_first &&
		       is_short(
			   cert->urls[url], &cert->requests[STAPLE_SHA1]) };
}

static bool
turn_to_next_url(struct staple_attempt *attempt)
{
	bool has_last = attempt->has_last;

	for (size_t url = 0; url < attempt->cert->url_count; url++) {
		if (attempt->done[url] == 0) {
			attempt->current = opening(attempt, url);
			return true;
		}
	}
	attempt->current = attempt->last;
	attempt->has_last = false;
	return has_last;
}

static bool
turn_from(struct staple_attempt *attempt, enum staple_class class)
{
	struct staple_try other = attempt->current;

	if (class <= STAPLE_CLASS_ANSWER)
		return false;
	if (class == STAPLE_CLASS_METHOD)
		other.get = !other.get;
	if (class == STAPLE_CLASS_HASH)
		other.hash = other.hash == STAPLE_SHA1 ? STAPLE_SHA256
						       : STAPLE_SHA1;
	if (is_done(attempt, &other))
		return turn_to_next_url(attempt);
	attempt->current = other;
	return true;
}

static bool
begin(struct staple_attempt *attempt)
{
	attempt->begun = true;
	if (!attempt->has_first)
		return turn_to_next_url(attempt);
	attempt->current = attempt->first;
	return true;
}

void
staple_attempt_begin(struct staple_attempt *attempt,
    const struct staple_cert *cert, const struct staple_attempt_start *start)
{
	const struct staple_try *confirm = start->confirm;
	const struct staple_try *worked = start->worked;

	*attempt = (struct staple_attempt){
		.cert = cert,
		.get_first = start->get_first,
	};
	if (confirm != NULL && confirm->url < cert->url_count) {
		mark_done(attempt, confirm);
		attempt->last = *confirm;
		attempt->last.get = confirm->get == start->in_vain;
		attempt->has_last = true;
	} else if (worked != NULL && worked->url < cert->url_count) {
		attempt->first = *worked;
		attempt->has_first = true;
	}
}

bool
staple_attempt_next(struct staple_attempt *attempt, enum staple_outcome last,
    struct staple_try *next)
{
	if (attempt->begun ? !turn_from(attempt, staple_outcome_class(last))
			   : !begin(attempt))
		return false;
	mark_done(attempt, &attempt->current);
	*next = attempt->current;
	return true;
}
