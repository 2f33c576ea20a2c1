/*
 * Which responder is asked next, and how.  Staple thread, or whoever diagnoses.
 * That no try is made twice is kept by one bit per try; a URL that has a bit
 * set has had its turn, so the order of the URLs needs no other bookkeeping.
 */
#include "staple/attempt.h"

#include <string.h>

#include <openssl/evp.h>

#include "staple/fetch.h"
#include "staple/outcome.h"
#include "staple/url.h"

enum {
	GET_URL_MAX = 255,
	GET_DER_MAX = GET_URL_MAX / 4 * 3,
	BASE64_MAX = GET_DER_MAX / 3 * 4 + 1,
	HOST_MAX = 512
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

/* By whichever method. */
static bool
is_hash_done(const struct staple_attempt *attempt, const struct staple_try *try)
{
	struct staple_try by_post = *try, by_get = *try;

	by_post.get = false;
	by_get.get = true;
	return is_done(attempt, &by_post) || is_done(attempt, &by_get);
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
	size_t len = strlen(url);

	if (request->len > GET_DER_MAX)
		return false;
	/* staple_url_for_get joins them with one slash. */
	while (len > 0 && url[len - 1] == '/')
		len--;
	len++;
	EVP_EncodeBlock(base64, request->der, (int)request->len);
	for (const unsigned char *at = base64; *at != '\0'; at++)
		len += strchr("+/=", *at) != NULL ? 3 : 1;
	return len <= GET_URL_MAX;
}

bool
staple_attempt_prefers_get(const struct staple_cert *cert, size_t url,
    enum staple_hash hash, enum staple_method method)
{
	if (method != STAPLE_METHOD_AUTO)
		return method == STAPLE_METHOD_GET;
	return is_short(cert->urls[url], &cert->requests[hash]);
}

static bool
prefers_get(
    const struct staple_attempt *attempt, size_t url, enum staple_hash hash)
{
	return staple_attempt_prefers_get(
	    attempt->cert, url, hash, attempt->method);
}

/* How a URL is begun with. */
static struct staple_try
opening(const struct staple_attempt *attempt, size_t url)
{
	return (struct staple_try){ .url = url,
		.hash = STAPLE_SHA1,
		.get = prefers_get(attempt, url, STAPLE_SHA1) };
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

/* By the same method; but where POST was not in the way before, a request that
 * is too long for GET goes by POST. */
static struct staple_try
with_other_hash(const struct staple_attempt *attempt)
{
	struct staple_try other = attempt->current, by_post = other;

	by_post.get = false;
	other.hash = other.hash == STAPLE_SHA1 ? STAPLE_SHA256 : STAPLE_SHA1;
	if (other.get && !is_done(attempt, &by_post))
		other.get = prefers_get(attempt, other.url, other.hash);
	return other;
}

static bool
turn_from(struct staple_attempt *attempt, enum staple_class class)
{
	struct staple_try other = attempt->current;
	bool done = true;

	if (class <= STAPLE_CLASS_ANSWER)
		return false;
	if (class == STAPLE_CLASS_METHOD) {
		other.get = !other.get;
		done = is_done(attempt, &other);
	} else if (class == STAPLE_CLASS_HASH) {
		other = with_other_hash(attempt);
		done = is_hash_done(attempt, &other);
	}
	if (done)
		return turn_to_next_url(attempt);
	attempt->current = other;
	return true;
}

/* The same try again, past the caches: once. */
static bool
bypasses_caches(struct staple_attempt *attempt, enum staple_outcome last)
{
	bool now = last == STAPLE_EXPIRED && !attempt->no_cache;

	attempt->no_cache = now || attempt->never_cached;
	return now;
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
		.method = start->method,
		.no_cache = start->no_cache,
		.never_cached = start->no_cache,
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

static bool
move_on(struct staple_attempt *attempt, enum staple_outcome last)
{
	if (!attempt->begun)
		return begin(attempt);
	return bypasses_caches(attempt, last) ||
	       turn_from(attempt, staple_outcome_class(last));
}

bool
staple_attempt_next(struct staple_attempt *attempt, enum staple_outcome last,
    struct staple_try *next)
{
	if (!move_on(attempt, last))
		return false;
	mark_done(attempt, &attempt->current);
	*next = attempt->current;
	return true;
}

/* "host:port" each; a URL that is none has no host. */
static bool
is_same_host(const char *a, const char *b)
{
	char host_a[HOST_MAX], host_b[HOST_MAX];

	return staple_url_host(a, host_a, sizeof(host_a)) &&
	       staple_url_host(b, host_b, sizeof(host_b)) &&
	       strcmp(host_a, host_b) == 0;
}

void
staple_attempt_bar_host(struct staple_attempt *attempt)
{
	char *const *urls = attempt->cert->urls;
	const char *current = urls[attempt->current.url];

	for (size_t url = 0; url < attempt->cert->url_count; url++) {
		if (url == attempt->current.url ||
		    is_same_host(urls[url], current))
			attempt->done[url] = UINT8_MAX;
	}
	if (attempt->has_last && attempt->done[attempt->last.url] == UINT8_MAX)
		attempt->has_last = false;
}
