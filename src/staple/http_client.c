/*
 * HTTP transfers on libcurl's multi interface; the only file with
 * <curl/curl.h>.  Staple thread only, except staple_http_wake.  Each
 * transfer has a connection of its own: a connection kept open would be to an
 * address that may be outdated, and could be closed by the peer at any moment.
 */
#include "staple/http_client.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <curl/curl.h>
#include <openssl/err.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "staple/cert.h"
#include "staple/issuers.h"

/* ---- Addresses that failed ---- */

/* Its entry, whether or not that still counts; NULL: none. */
static const struct staple_address *
find(const struct staple_addresses *addresses, const struct addr *addr)
{
	for (size_t i = 0; i < STAPLE_ADDRESSES_MAX; i++) {
		const struct staple_address *one = &addresses->failed[i];

		if (one->until_ms != 0 && addr_equal(&one->addr, addr))
			return one;
	}
	return NULL;
}

bool
staple_addresses_failed(const struct staple_addresses *addresses,
    const struct addr *addr, int64_t mono_ms)
{
	const struct staple_address *found = find(addresses, addr);

	return found != NULL && mono_ms < found->until_ms;
}

static struct staple_address *
first_to_end(struct staple_addresses *addresses)
{
	struct staple_address *first = addresses->failed;

	for (size_t i = 1; i < STAPLE_ADDRESSES_MAX; i++) {
		if (addresses->failed[i].until_ms < first->until_ms)
			first = &addresses->failed[i];
	}
	return first;
}

void
staple_addresses_note(struct staple_addresses *addresses,
    const struct addr *addr, bool works, int64_t mono_ms)
{
	const struct staple_address *found = find(addresses, addr);
	struct staple_address *entry;

	if (found == NULL && works)
		return;
	entry = found != NULL ? &addresses->failed[found - addresses->failed]
			      : first_to_end(addresses);
	entry->addr = *addr;
	entry->until_ms = works ? 0 : mono_ms + STAPLE_ADDRESS_MS;
}

/*
 * ---- Abandoned look-ups ----
 *
 * Each as the time until which it counts.  One more than STAPLE_LOOKUPS_MAX
 * replaces the oldest: there is room again when the thirty-second youngest has
 * ended, which is what the bound requires.  Hosts are distinguished by a hash:
 * two with the same one share a bound.
 */

/* FNV-1a */
static uint32_t
hash(const char *host)
{
	uint32_t sum = 2166136261;

	for (; *host != '\0'; host++)
		sum = (sum ^ (unsigned char)*host) * 16777619;
	return sum;
}

bool
staple_lookups_may(
    const struct staple_lookups *lookups, const char *host, int64_t mono_ms)
{
	unsigned all = 0, of_host = 0;
	uint32_t sum = hash(host);

	for (unsigned i = 0; i < STAPLE_LOOKUPS_MAX; i++) {
		if (lookups->left[i].until_ms <= mono_ms)
			continue;
		all++;
		of_host += lookups->left[i].host == sum;
	}
	return all < STAPLE_LOOKUPS_MAX && of_host < STAPLE_LOOKUPS_HOST_MAX;
}

void
staple_lookups_abandon(
    struct staple_lookups *lookups, const char *host, int64_t mono_ms)
{
	struct staple_lookup *oldest = lookups->left;

	for (unsigned i = 1; i < STAPLE_LOOKUPS_MAX; i++) {
		if (lookups->left[i].until_ms < oldest->until_ms)
			oldest = &lookups->left[i];
	}
	*oldest = (struct staple_lookup){ mono_ms + STAPLE_LOOKUP_MS,
		hash(host) };
}

/* ---- The client ---- */

enum {
	TURN_MS = 100,   /* while a transfer connects */
	TOO_LARGE = 100, /* CURLE_TOO_LARGE, since libcurl 8.6 */
	RESOLVERS_MAX = 4 * STAPLE_LOOKUPS_MAX
};

_Static_assert(STAPLE_DETAIL_MAX >= CURL_ERROR_SIZE, "libcurl writes more");

static void
init_libcurl(void)
{
	/* A failure repeats when a handle is created. */
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* "Expect:" without a value: do not wait for a 100 Continue. */
static const struct header {
	const char *line;
	bool get, post, no_cache; /* where it is sent; always, or no_cache */
} headers[] = {
	{ "Accept: application/ocsp-response", true, true, false },
	{ "Content-Type: application/ocsp-request", false, true, false },
	{ "Expect:", false, true, false },
	{ "Cache-Control: no-cache", true, true, true },
};

static bool
add_headers(struct curl_slist **list, bool get, bool no_cache)
{
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		const struct header *header = &headers[i];
		struct curl_slist *longer;

		if (!(get ? header->get : header->post) ||
		    (header->no_cache && !no_cache))
			continue;
		longer = curl_slist_append(*list, header->line);
		if (longer == NULL)
			return false;
		*list = longer;
	}
	return true;
}

static bool
make_headers(struct staple_fetcher *fetcher)
{
	for (int i = 0; i < 4; i++) {
		bool get = i / 2, no_cache = i % 2;

		if (!add_headers(
			&fetcher->headers[get][no_cache], get, no_cache))
			return false;
	}
	return true;
}

/*
 * Since 8.20 look-ups run on a pool of threads, 20 by default, that
 * curl_multi_cleanup joins.  Do not wait there for one that hangs, and have
 * more of them than look-ups that may be abandoned.
 */
static void
set_resolvers(CURLM *multi)
{
#if LIBCURL_VERSION_NUM >= 0x081400
	(void)curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L);
	(void)curl_multi_setopt(
	    multi, CURLMOPT_RESOLVE_THREADS_MAX, (long)RESOLVERS_MAX);
#else
	(void)multi;
#endif
}

bool
staple_http_init(struct staple_fetcher *fetcher, struct err *err)
{
	static const char issuer[] = /* RFC 5280 4.2.2.1 */
	    "Accept: application/pkix-cert, application/pkcs7-mime, */*;q=0.5";
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_libcurl);
	fetcher->multi = curl_multi_init();
	if (fetcher->multi != NULL)
		set_resolvers(fetcher->multi);
	fetcher->issuer_headers = curl_slist_append(NULL, issuer);
	if (fetcher->multi != NULL && fetcher->issuer_headers != NULL &&
	    make_headers(fetcher))
		return true;
	err_set(err, "no memory to set up libcurl");
	return false;
}

void
staple_http_fini(struct staple_fetcher *fetcher)
{
	curl_multi_cleanup(fetcher->multi);
	for (int i = 0; i < 4; i++)
		curl_slist_free_all(fetcher->headers[i / 2][i % 2]);
	curl_slist_free_all(fetcher->issuer_headers);
}

void
staple_http_turn(struct staple_fetcher *fetcher, uint32_t wait_ms)
{
	int running, wait = wait_ms < INT32_MAX ? (int)wait_ms : INT32_MAX;

	/* When libcurl turns from an address to the next one, 7.88 does not
	 * poll the new socket: only the time ends the wait. */
	if (fetcher->connecting > 0 && wait > TURN_MS)
		wait = TURN_MS;
	/* Failures here are reported by the transfers. */
	(void)curl_multi_poll(fetcher->multi, NULL, 0, wait, NULL);
	(void)curl_multi_perform(fetcher->multi, &running);
	ERR_clear_error();
}

void
staple_http_wake(struct staple_fetcher *fetcher)
{
	(void)curl_multi_wakeup(fetcher->multi);
}

/* ---- Callbacks of libcurl; a return value below the bytes given ends the
 * transfer ---- */

static int
status_of(const struct staple_fetch *fetch)
{
	long status = 0;

	curl_easy_getinfo(
	    fetch->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

static size_t
on_header(char *line, size_t size, size_t count, void *arg)
{
	struct staple_fetch *fetch = arg;

	return staple_http_response_header(&fetch->transfer.response,
		   status_of(fetch), line, size * count, clock_wall_ms() / 1000)
		   ? size * count
		   : 0;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct staple_fetch *fetch = arg;

	return staple_http_response_body(&fetch->transfer.response, bytes,
		   size * count, clock_mono_ms())
		   ? size * count
		   : 0;
}

/* Is it connecting, for the wait of a turn? */
static bool
is_connecting(const struct staple_fetch *fetch)
{
	return fetch->transfer.named && !fetch->transfer.securing &&
	       !fetch->transfer.connected;
}

static void
advance(struct staple_fetch *fetch, bool *reached)
{
	fetch->fetcher->connecting -= is_connecting(fetch);
	*reached = true;
	fetch->fetcher->connecting += is_connecting(fetch);
}

/* Without a socket, libcurl tries the next address of the name. */
static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct staple_fetch *fetch = arg;
	struct addr addr;

	(void)purpose;
	advance(fetch, &fetch->transfer.named);
	addr_from_sockaddr(&addr, &address->addr, address->addrlen);
	if (!fetch->any_address &&
	    staple_addresses_failed(
		&fetch->fetcher->addresses, &addr, clock_mono_ms())) {
		fetch->transfer.skipped = true;
		return CURL_SOCKET_BAD;
	}
	if (fetch->transfer.tried_count < STAPLE_TRIED_MAX)
		fetch->transfer.tried[fetch->transfer.tried_count++] = addr;
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
	    address->protocol);
}

static CURLcode
on_tls(CURL *easy, void *context, void *arg)
{
	struct staple_fetch *fetch = arg;

	(void)easy, (void)context;
	advance(fetch, &fetch->transfer.securing);
	return CURLE_OK;
}

/* The connection is there, TLS included. */
static int
on_connected(
    void *arg, char *remote, char *local, int remote_port, int local_port)
{
	struct staple_fetch *fetch = arg;
	char text[ADDR_TEXT_MAX];

	(void)local, (void)local_port;
	advance(fetch, &fetch->transfer.connected);
	(void)snprintf(text, sizeof(text),
	    strchr(remote, ':') != NULL ? "[%s]:%d" : "%s:%d", remote,
	    remote_port);
	if (!addr_parse(&fetch->transfer.peer, NULL, text, NULL))
		fetch->transfer.peer.len = 0;
	return CURL_PREREQFUNC_OK;
}

/* ---- Transfers ---- */

static unsigned
set_request(struct staple_fetch *fetch, uint32_t timeout_ms)
{
	const struct staple_fetcher *fetcher = fetch->fetcher;
	const struct staple_fetch_order *order = &fetch->order;
	struct curl_slist *headers_of =
	    order->issuer ? fetcher->issuer_headers
			  : fetcher->headers[order->get][order->no_cache];
	CURL *easy = fetch->transfer.easy;
	unsigned bad = 0;

	bad |= curl_easy_setopt(easy, CURLOPT_URL, fetch->url);
	bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_of);
	if (order->get)
		return bad;
	bad |= curl_easy_setopt(
	    easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)order->len);
	bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, order->body);
	return bad;
}

/* Redirects, cookies, netrc, encodings: libcurl's default is none of them. */
static unsigned
set_manners(CURL *easy)
{
	unsigned bad = 0;

	bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Or freeing it would wait for a hanging name look-up. */
	bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(
	    easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(
	    easy, CURLOPT_USERAGENT, "libstaple/" PACKAGE_VERSION);
	bad |= curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	bad |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	return bad;
}

static unsigned
set_options(CURL *easy, const struct staple_fetch_options *options)
{
	unsigned bad = 0;

	bad |= curl_easy_setopt(
	    easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)options->max_response);
	if (options->proxy != NULL) {
		bad |= curl_easy_setopt(easy, CURLOPT_PROXY, options->proxy);
		/* All through it, regardless of the environment. */
		bad |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	}
	if (options->ca_file != NULL) {
		bad |= curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
		/* Or the system's folder would be trusted beside the file. */
		bad |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		/* Or a file written anew would not be read for a day. */
		bad |= curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	}
	return bad;
}

static unsigned
set_callbacks(struct staple_fetch *fetch)
{
	CURL *easy = fetch->transfer.easy;
	unsigned bad = 0;

	bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
	bad |= curl_easy_setopt(
	    easy, CURLOPT_ERRORBUFFER, fetch->transfer.detail);
	bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
	bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
	bad |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
	bad |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, fetch);
	/* Not with every TLS library; the phase is then called connecting. */
	(void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, fetch);
	return bad;
}

bool
staple_http_begin(struct staple_fetch *fetch, uint32_t timeout_ms)
{
	struct staple_fetch_options options = fetch->fetcher->options;
	CURL *easy = curl_easy_init();

	if (fetch->order.issuer)
		options.max_response = STAPLE_ISSUER_BYTES_MAX;
	staple_http_response_init(
	    &fetch->transfer.response, options.max_response);
	fetch->transfer.easy = easy;
	/* A setting that was lost could widen trust, so none may be. */
	if (easy != NULL && set_request(fetch, timeout_ms) == 0 &&
	    set_manners(easy) == 0 && set_options(easy, &options) == 0 &&
	    set_callbacks(fetch) == 0 &&
	    curl_multi_add_handle(fetch->fetcher->multi, easy) == CURLM_OK)
		return true;
	staple_http_end(fetch);
	return false;
}

void
staple_http_end(struct staple_fetch *fetch)
{
	if (fetch->transfer.easy != NULL)
		curl_multi_remove_handle(
		    fetch->fetcher->multi, fetch->transfer.easy);
	fetch->fetcher->connecting -= is_connecting(fetch);
	curl_easy_cleanup(fetch->transfer.easy);
	ERR_clear_error();
	staple_http_response_fini(&fetch->transfer.response);
	memset(&fetch->transfer, 0, sizeof(fetch->transfer));
}

/* ---- Results ---- */

static bool
has_passed(const struct staple_fetch *fetch, CURLINFO time)
{
	curl_off_t us = 0;

	curl_easy_getinfo(fetch->transfer.easy, time, &us);
	return us > 0;
}

enum staple_transfer_phase
staple_http_phase(const struct staple_fetch *fetch)
{
	if (fetch->transfer.response.headed)
		return STAPLE_AT_BODY;
	if (fetch->transfer.connected)
		return STAPLE_AT_HEADERS;
	if (fetch->transfer.securing)
		return STAPLE_AT_TLS;
	return fetch->transfer.named ? STAPLE_AT_CONNECT : STAPLE_AT_NAME;
}

/* CURLE_WRITE_ERROR: ended by on_header, which needs no body. */
static enum staple_transfer_error
error_of(const struct staple_fetch *fetch, CURLcode code)
{
	if (fetch->transfer.response.error != STAPLE_ERROR_NONE)
		return fetch->transfer.response.error;
	if ((int)code == TOO_LARGE)
		return STAPLE_ERROR_SIZE;
	switch (code) {
	case CURLE_OK:
	case CURLE_WRITE_ERROR:
		return fetch->transfer.response.headed ? STAPLE_ERROR_NONE
						       : STAPLE_ERROR_CUT;
	case CURLE_URL_MALFORMAT:
		return STAPLE_ERROR_URL;
	case CURLE_COULDNT_RESOLVE_HOST:
		return STAPLE_ERROR_NAME;
	case CURLE_COULDNT_RESOLVE_PROXY:
		return STAPLE_ERROR_PROXY_NAME;
	case CURLE_COULDNT_CONNECT:
		return STAPLE_ERROR_CONNECT;
	case CURLE_OPERATION_TIMEDOUT:
		return STAPLE_ERROR_TIMEOUT;
	case CURLE_GOT_NOTHING:
		return STAPLE_ERROR_CLOSED;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		return STAPLE_ERROR_BROKEN;
	case CURLE_PARTIAL_FILE:
		return STAPLE_ERROR_CUT;
	case CURLE_FILESIZE_EXCEEDED:
		return STAPLE_ERROR_SIZE;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return STAPLE_ERROR_NO_HTTP;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		return STAPLE_ERROR_TLS;
	case CURLE_OUT_OF_MEMORY:
		/* Before 8.6 also libcurl's code for a line of over 100 KiB. */
		return has_passed(fetch, CURLINFO_STARTTRANSFER_TIME_T)
			   ? STAPLE_ERROR_SIZE
			   : STAPLE_ERROR_MEMORY;
	default:
		return STAPLE_ERROR_OTHER;
	}
}

struct staple_fetch *
staple_http_ended(struct staple_fetcher *fetcher)
{
	struct staple_fetch *fetch;
	CURLMsg *message;
	CURLcode code;
	int more;

	do {
		message = curl_multi_info_read(fetcher->multi, &more);
		if (message == NULL)
			return NULL;
	} while (message->msg != CURLMSG_DONE);
	code = message->data.result;
	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
	fetch->transfer.error = error_of(fetch, code);
	if (fetch->transfer.detail[0] == '\0')
		(void)snprintf(fetch->transfer.detail, STAPLE_DETAIL_MAX, "%s",
		    curl_easy_strerror(code));
	return fetch;
}

void
staple_http_get_result(
    const struct staple_fetch *fetch, struct staple_fetch_result *result)
{
	const struct staple_http_response *response = &fetch->transfer.response;
	long proxy = 0, sys_errno = 0;

	curl_easy_getinfo(
	    fetch->transfer.easy, CURLINFO_HTTP_CONNECTCODE, &proxy);
	curl_easy_getinfo(fetch->transfer.easy, CURLINFO_OS_ERRNO, &sys_errno);
	result->error = fetch->transfer.error;
	result->phase = staple_http_phase(fetch);
	result->http_status = status_of(fetch);
	result->proxy_status = proxy >= 300 ? (int)proxy : 0;
	result->sys_errno = (int)sys_errno;
	result->detail = fetch->transfer.detail;
	result->body = response->body;
	result->len = response->len;
	result->right_type = response->right_type;
	result->freshness_s = staple_http_response_freshness(response);
	if (result->http_status == 429 || result->http_status == 503)
		result->retry_after_s = response->retry_after_s;
}

void
staple_http_note_addresses(struct staple_fetch *fetch, bool answered)
{
	struct staple_addresses *addresses = &fetch->fetcher->addresses;
	const struct addr *peer = &fetch->transfer.peer;
	int64_t now_ms = clock_mono_ms();

	if (peer->len == 0 && fetch->transfer.securing &&
	    fetch->transfer.tried_count > 0)
		peer = &fetch->transfer.tried[fetch->transfer.tried_count - 1];
	for (unsigned i = 0; i < fetch->transfer.tried_count; i++) {
		const struct addr *addr = &fetch->transfer.tried[i];

		if (addr_equal(addr, peer))
			staple_addresses_note(
			    addresses, addr, answered, now_ms);
		else if (fetch->transfer.tried_count > 1 ||
			 fetch->transfer.skipped)
			staple_addresses_note(addresses, addr, false, now_ms);
	}
}

char *
staple_http_location(const struct staple_fetch *fetch)
{
	const char *location = fetch->transfer.response.location;
	CURLU *url = curl_url();
	char *base = NULL, *absolute = NULL, *copy = NULL;

	curl_easy_getinfo(fetch->transfer.easy, CURLINFO_EFFECTIVE_URL, &base);
	if (url != NULL && base != NULL && location != NULL &&
	    curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_URL, location, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &absolute, 0) == CURLUE_OK)
		copy = strdup(absolute);
	curl_free(absolute);
	curl_url_cleanup(url);
	return copy;
}
