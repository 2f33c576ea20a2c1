/*
 * From a try to an exchange.  Any one thread.  A GET carries its request in
 * the URL, which is made for the moment and copied by the fetcher.
 */
#include "staple/try.h"

#include <stdlib.h>

#include "staple/cert.h"
#include "staple/url.h"

enum {
	TRIES_MIN = 3,  /* that the whole time suffices for */
	WORTHWHILE = 20 /* a smaller part of it is no time at all */
};

uint32_t
staple_try_time(uint32_t timeout_ms, uint32_t left_ms)
{
	uint32_t share = timeout_ms / TRIES_MIN;

	if (left_ms <= timeout_ms / WORTHWHILE)
		return 0;
	if (share == 0)
		share = 1;
	return share < left_ms ? share : left_ms;
}

static struct staple_fetch *
start(const struct staple_fetch_order *order, const struct staple_try_by *by)
{
	return staple_fetch_start(by->fetcher, order, by->done, by->arg);
}

struct staple_fetch *
staple_try_start(const struct staple_cert *cert,
    const struct staple_try *trying, const struct staple_try_by *by)
{
	const struct staple_request *request = &cert->requests[trying->hash];
	struct staple_fetch_order order = {
		.url = cert->urls[trying->url],
		.body = request->der,
		.len = request->len,
		.get = trying->get,
		.no_cache = by->no_cache,
		.timeout_ms = by->timeout_ms,
	};
	struct staple_fetch *fetch;
	char *url;

	if (!trying->get)
		return start(&order, by);
	url = staple_url_for_get(order.url, request->der, request->len);
	if (url == NULL)
		return NULL;
	order.url = url;
	fetch = start(&order, by);
	free(url);
	return fetch;
}
