/*
 * The order of the request variants of an attempt, and the exchange of one
 * variant.  Any one thread.  Variants that were sent are kept as one bit each;
 * a URL that has a bit set has had its turn, so the order of the URLs needs no
 * other bookkeeping.
 */
#include "staple/request_order.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "staple/cert.h"
#include "staple/fetch.h"
#include "staple/outcome.h"
#include "staple/url.h"

enum {
	GET_URL_MAX = 255,
	GET_DER_MAX = GET_URL_MAX / 4 * 3,
	BASE64_MAX = GET_DER_MAX / 3 * 4 + 1
};

static uint8_t
bit(const struct staple_request_variant *variant)
{
	return (uint8_t)(1u << (2 * (unsigned)variant->hash + variant->get));
}

static bool
is_done(const struct staple_request_order *order,
    const struct staple_request_variant *variant)
{
	return (order->done[variant->url] & bit(variant)) != 0;
}

/* By either method. */
static bool
is_hash_done(const struct staple_request_order *order,
    const struct staple_request_variant *variant)
{
	struct staple_request_variant by_post = *variant, by_get = *variant;

	by_post.get = false;
	by_get.get = true;
	return is_done(order, &by_post) || is_done(order, &by_get);
}

static void
mark_done(struct staple_request_order *order,
    const struct staple_request_variant *variant)
{
	order->done[variant->url] |= bit(variant);
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
staple_request_prefers_get(const struct staple_cert *cert, size_t url,
    enum staple_hash hash, enum staple_method method)
{
	if (method != STAPLE_METHOD_AUTO)
		return method == STAPLE_METHOD_GET;
	return is_short(cert->urls[url], &cert->requests[hash]);
}

static bool
wants_get(
    const struct staple_request_order *order, size_t url, enum staple_hash hash)
{
	return staple_request_prefers_get(
	    order->cert, url, hash, order->method);
}

/* The first variant of a URL. */
static struct staple_request_variant
opening(const struct staple_request_order *order, size_t url)
{
	return (struct staple_request_variant){ .url = url,
		.hash = STAPLE_SHA1,
		.get = wants_get(order, url, STAPLE_SHA1) };
}

static bool
turn_to_next_url(struct staple_request_order *order)
{
	bool has_last = order->has_last;

	for (size_t url = 0; url < order->cert->url_count; url++) {
		if (order->done[url] == 0) {
			order->current = opening(order, url);
			return true;
		}
	}
	order->current = order->last;
	order->has_last = false;
	return has_last;
}

/* By the same method; but a request that is too long for GET goes by POST, if
 * POST was not sent before. */
static struct staple_request_variant
with_other_hash(const struct staple_request_order *order)
{
	struct staple_request_variant other = order->current, by_post = other;

	by_post.get = false;
	other.hash = other.hash == STAPLE_SHA1 ? STAPLE_SHA256 : STAPLE_SHA1;
	if (other.get && !is_done(order, &by_post))
		other.get = wants_get(order, other.url, other.hash);
	return other;
}

static bool
turn_from(struct staple_request_order *order, enum staple_class class)
{
	struct staple_request_variant other = order->current;
	bool done = true;

	if (class <= STAPLE_CLASS_ANSWER)
		return false;
	if (class == STAPLE_CLASS_METHOD) {
		other.get = !other.get;
		done = is_done(order, &other);
	} else if (class == STAPLE_CLASS_HASH) {
		other = with_other_hash(order);
		done = is_hash_done(order, &other);
	}
	if (done)
		return turn_to_next_url(order);
	order->current = other;
	return true;
}

static bool
begin(struct staple_request_order *order)
{
	order->begun = true;
	if (!order->has_first)
		return turn_to_next_url(order);
	order->current = order->first;
	return true;
}

void
staple_request_order_begin(struct staple_request_order *order,
    const struct staple_cert *cert, enum staple_method method, bool no_cache)
{
	*order = (struct staple_request_order){
		.cert = cert, .method = method, .no_cache = no_cache
	};
}

void
staple_request_order_prefer(struct staple_request_order *order,
    const struct staple_request_variant *worked)
{
	order->first = *worked;
	order->has_first = worked->url < order->cert->url_count;
}

void
staple_request_order_confirm(struct staple_request_order *order,
    const struct staple_request_variant *revoked, bool in_vain)
{
	if (revoked->url >= order->cert->url_count)
		return;
	mark_done(order, revoked);
	order->last = *revoked;
	order->last.get = revoked->get == in_vain;
	order->has_last = true;
	order->has_first = false;
}

bool
staple_request_order_next(struct staple_request_order *order,
    enum staple_outcome last, struct staple_request_variant *next)
{
	/* The same variant again, past the caches: once. */
	bool again = order->begun && last == STAPLE_EXPIRED &&
		     !order->current.no_cache;
	bool goes_on = order->begun ? again || turn_from(order,
						   staple_outcome_class(last))
				    : begin(order);

	if (!goes_on)
		return false;
	order->current.no_cache = again || order->no_cache;
	mark_done(order, &order->current);
	*next = order->current;
	return true;
}

/* Compares "host:port"; an invalid URL has no host. */
static bool
is_same_host(const char *a, const char *b)
{
	char host_a[STAPLE_URL_HOST_MAX], host_b[STAPLE_URL_HOST_MAX];

	return staple_url_host(a, host_a, sizeof(host_a)) &&
	       staple_url_host(b, host_b, sizeof(host_b)) &&
	       strcmp(host_a, host_b) == 0;
}

void
staple_request_order_skip_host(struct staple_request_order *order)
{
	char *const *urls = order->cert->urls;
	const char *current = urls[order->current.url];

	for (size_t url = 0; url < order->cert->url_count; url++) {
		if (url == order->current.url ||
		    is_same_host(urls[url], current))
			order->done[url] = UINT8_MAX;
	}
	if (order->has_last && order->done[order->last.url] == UINT8_MAX)
		order->has_last = false;
}

/*
 * ---- Sending a variant ----
 *
 * A GET carries its request in the URL, which is freed at once: the fetcher
 * copies it.
 */

enum {
	PARTS = 3,      /* of the time of an attempt, one for each exchange */
	WORTHWHILE = 20 /* a smaller part is not used */
};

uint32_t
staple_request_time(uint32_t timeout_ms, uint32_t left_ms)
{
	uint32_t share = timeout_ms / PARTS;

	if (left_ms <= timeout_ms / WORTHWHILE)
		return 0;
	if (share == 0)
		share = 1;
	return share < left_ms ? share : left_ms;
}

struct staple_fetch *
staple_request_start(struct staple_fetcher *fetcher,
    const struct staple_cert *cert,
    const struct staple_request_variant *variant, uint32_t timeout_ms,
    staple_fetch_fn *done, void *arg)
{
	const struct staple_request *request = &cert->requests[variant->hash];
	struct staple_fetch_order order = {
		.url = cert->urls[variant->url],
		.body = request->der,
		.len = request->len,
		.get = variant->get,
		.no_cache = variant->no_cache,
		.timeout_ms = timeout_ms,
	};
	struct staple_fetch *fetch;
	char *url;

	if (!variant->get)
		return staple_fetch_start(fetcher, &order, done, arg);
	url = staple_url_for_get(order.url, request->der, request->len);
	if (url == NULL)
		return NULL;
	order.url = url;
	fetch = staple_fetch_start(fetcher, &order, done, arg);
	free(url);
	return fetch;
}
