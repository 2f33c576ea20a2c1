/*
 * HTTP transfers on libcurl's multi interface; the only file with
 * <curl/curl.h>.  Staple thread only, except staple_http_client_wake.  Each
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
#include "staple/http_response.h"

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
	TRIED_MAX = 16,  /* addresses that a transfer records */
	TOO_LARGE = 100, /* CURLE_TOO_LARGE, since libcurl 8.6 */
	RESOLVERS_MAX = 4 * STAPLE_LOOKUPS_MAX
};

struct staple_http_client {
	CURLM *multi;
	struct curl_slist *headers[2][2]; /* by order->get and no_cache */
	struct curl_slist *issuer_headers;
	struct staple_addresses addresses;
	unsigned connecting; /* transfers in that phase */
};

struct staple_transfer {
	struct staple_http_client *client;
	void *owner;
	CURL *easy;
	CURLcode code; /* how it ended */

	/* How far it came.  libcurl's own times and ports differ from version
	 * to version; its callbacks come at the same places in all. */
	bool named;     /* a socket was requested for an address */
	bool securing;  /* the TLS handshake has begun */
	bool connected; /* TLS included; the request may be sent */

	bool any_address; /* also those that failed lately */
	bool skipped;     /* one of those */
	unsigned tried_count;
	struct addr tried[TRIED_MAX];
	struct addr peer; /* of the connection; len 0: none yet */

	struct staple_http_response response;
	char detail[CURL_ERROR_SIZE];
};

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
make_headers(struct staple_http_client *client)
{
	for (int i = 0; i < 4; i++) {
		bool get = i / 2, no_cache = i % 2;

		if (!add_headers(
			&client->headers[get][no_cache], get, no_cache))
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

struct staple_http_client *
staple_http_client_new(struct err *err)
{
	static const char issuer[] = /* RFC 5280 4.2.2.1 */
	    "Accept: application/pkix-cert, application/pkcs7-mime, */*;q=0.5";
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct staple_http_client *client = calloc(1, sizeof(*client));

	pthread_once(&once, init_libcurl);
	if (client == NULL)
		goto fail;
	client->multi = curl_multi_init();
	if (client->multi != NULL)
		set_resolvers(client->multi);
	client->issuer_headers = curl_slist_append(NULL, issuer);
	if (client->multi == NULL || client->issuer_headers == NULL ||
	    !make_headers(client))
		goto fail;
	return client;
fail:
	err_set(err, "no memory to set up libcurl");
	staple_http_client_free(client);
	return NULL;
}

void
staple_http_client_free(struct staple_http_client *client)
{
	if (client == NULL)
		return;
	curl_multi_cleanup(client->multi);
	for (int i = 0; i < 4; i++)
		curl_slist_free_all(client->headers[i / 2][i % 2]);
	curl_slist_free_all(client->issuer_headers);
	free(client);
}

void
staple_http_client_turn(struct staple_http_client *client, uint32_t wait_ms)
{
	int running, wait = wait_ms < INT32_MAX ? (int)wait_ms : INT32_MAX;

	/* When libcurl turns from an address to the next one, 7.88 does not
	 * poll the new socket: only the time ends the wait. */
	if (client->connecting > 0 && wait > TURN_MS)
		wait = TURN_MS;
	/* Failures here are reported by the transfers. */
	(void)curl_multi_poll(client->multi, NULL, 0, wait, NULL);
	(void)curl_multi_perform(client->multi, &running);
	ERR_clear_error();
}

void
staple_http_client_wake(struct staple_http_client *client)
{
	(void)curl_multi_wakeup(client->multi);
}

void *
staple_http_client_ended(struct staple_http_client *client)
{
	struct staple_transfer *transfer;
	CURLMsg *message;
	int more;

	do {
		message = curl_multi_info_read(client->multi, &more);
		if (message == NULL)
			return NULL;
	} while (message->msg != CURLMSG_DONE);
	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
	transfer->code = message->data.result;
	return transfer->owner;
}

/* ---- Callbacks of libcurl; a return value below the bytes given ends the
 * transfer ---- */

static int
status_of(const struct staple_transfer *transfer)
{
	long status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

static size_t
on_header(char *line, size_t size, size_t count, void *arg)
{
	struct staple_transfer *transfer = arg;

	return staple_http_response_header(&transfer->response,
		   status_of(transfer), line, size * count,
		   clock_wall_ms() / 1000)
		   ? size * count
		   : 0;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct staple_transfer *transfer = arg;

	return staple_http_response_body(
		   &transfer->response, bytes, size * count, clock_mono_ms())
		   ? size * count
		   : 0;
}

/* Is it connecting, for the wait of a turn? */
static bool
is_connecting(const struct staple_transfer *transfer)
{
	return transfer->named && !transfer->securing && !transfer->connected;
}

static void
advance(struct staple_transfer *transfer, bool *reached)
{
	transfer->client->connecting -= is_connecting(transfer);
	*reached = true;
	transfer->client->connecting += is_connecting(transfer);
}

/* Without a socket, libcurl tries the next address of the name. */
static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct staple_transfer *transfer = arg;
	struct addr addr;

	(void)purpose;
	advance(transfer, &transfer->named);
	addr_from_sockaddr(&addr, &address->addr, address->addrlen);
	if (!transfer->any_address &&
	    staple_addresses_failed(
		&transfer->client->addresses, &addr, clock_mono_ms())) {
		transfer->skipped = true;
		return CURL_SOCKET_BAD;
	}
	if (transfer->tried_count < TRIED_MAX)
		transfer->tried[transfer->tried_count++] = addr;
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
	    address->protocol);
}

static CURLcode
on_tls(CURL *easy, void *context, void *arg)
{
	struct staple_transfer *transfer = arg;

	(void)easy, (void)context;
	advance(transfer, &transfer->securing);
	return CURLE_OK;
}

/* The connection is there, TLS included. */
static int
on_connected(
    void *arg, char *remote, char *local, int remote_port, int local_port)
{
	struct staple_transfer *transfer = arg;
	char text[ADDR_TEXT_MAX];

	(void)local, (void)local_port;
	advance(transfer, &transfer->connected);
	(void)snprintf(text, sizeof(text),
	    strchr(remote, ':') != NULL ? "[%s]:%d" : "%s:%d", remote,
	    remote_port);
	if (!addr_parse(&transfer->peer, NULL, text, NULL))
		transfer->peer.len = 0;
	return CURL_PREREQFUNC_OK;
}

/* ---- Transfers ---- */

static unsigned
set_request(
    struct staple_transfer *transfer, const struct staple_fetch_order *order)
{
	const struct staple_http_client *client = transfer->client;
	struct curl_slist *headers_of =
	    client->headers[order->get][order->no_cache];
	CURL *easy = transfer->easy;
	unsigned bad = 0;

	if (order->issuer)
		headers_of = client->issuer_headers;
	bad |= curl_easy_setopt(easy, CURLOPT_URL, order->url);
	bad |= curl_easy_setopt(
	    easy, CURLOPT_TIMEOUT_MS, (long)order->timeout_ms);
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
set_callbacks(struct staple_transfer *transfer)
{
	CURL *easy = transfer->easy;
	unsigned bad = 0;

	bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->detail);
	bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	bad |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
	bad |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	/* Not with every TLS library; the phase is then called connecting. */
	(void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, transfer);
	return bad;
}

struct staple_transfer *
staple_transfer_new(struct staple_http_client *client,
    const struct staple_fetch_order *order,
    const struct staple_fetch_options *options, bool any_address, void *owner)
{
	struct staple_transfer *transfer = calloc(1, sizeof(*transfer));

	if (transfer == NULL)
		return NULL;
	transfer->client = client;
	transfer->owner = owner;
	transfer->any_address = any_address;
	staple_http_response_init(&transfer->response, options->max_response);
	transfer->easy = curl_easy_init();
	/* A setting that was lost could widen trust, so none may be. */
	if (transfer->easy != NULL && set_request(transfer, order) == 0 &&
	    set_manners(transfer->easy) == 0 &&
	    set_options(transfer->easy, options) == 0 &&
	    set_callbacks(transfer) == 0 &&
	    curl_multi_add_handle(client->multi, transfer->easy) == CURLM_OK)
		return transfer;
	staple_transfer_free(transfer);
	return NULL;
}

void
staple_transfer_free(struct staple_transfer *transfer)
{
	if (transfer == NULL)
		return;
	if (transfer->easy != NULL)
		curl_multi_remove_handle(
		    transfer->client->multi, transfer->easy);
	transfer->client->connecting -= is_connecting(transfer);
	curl_easy_cleanup(transfer->easy);
	ERR_clear_error();
	staple_http_response_fini(&transfer->response);
	free(transfer);
}

/* ---- Results ---- */

static bool
has_passed(const struct staple_transfer *transfer, CURLINFO time)
{
	curl_off_t us = 0;

	curl_easy_getinfo(transfer->easy, time, &us);
	return us > 0;
}

enum staple_transfer_phase
staple_transfer_phase(const struct staple_transfer *transfer)
{
	if (transfer->response.headed)
		return STAPLE_AT_BODY;
	if (transfer->connected)
		return STAPLE_AT_HEADERS;
	if (transfer->securing)
		return STAPLE_AT_TLS;
	return transfer->named ? STAPLE_AT_CONNECT : STAPLE_AT_NAME;
}

const struct staple_http_response *
staple_transfer_response(const struct staple_transfer *transfer)
{
	return &transfer->response;
}

/* CURLE_WRITE_ERROR: ended by on_header, which needs no body. */
static enum staple_transfer_error
error_of(const struct staple_transfer *transfer)
{
	if (transfer->response.error != STAPLE_ERROR_NONE)
		return transfer->response.error;
	if ((int)transfer->code == TOO_LARGE)
		return STAPLE_ERROR_SIZE;
	switch (transfer->code) {
	case CURLE_OK:
	case CURLE_WRITE_ERROR:
		return transfer->response.headed ? STAPLE_ERROR_NONE
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
		return has_passed(transfer, CURLINFO_STARTTRANSFER_TIME_T)
			   ? STAPLE_ERROR_SIZE
			   : STAPLE_ERROR_MEMORY;
	default:
		return STAPLE_ERROR_OTHER;
	}
}

void
staple_transfer_get_result(const struct staple_transfer *transfer,
    struct staple_transfer_result *result)
{
	long proxy = 0, sys_errno = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &proxy);
	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &sys_errno);
	result->error = error_of(transfer);
	result->phase = staple_transfer_phase(transfer);
	result->http_status = status_of(transfer);
	result->proxy_status = proxy >= 300 ? (int)proxy : 0;
	result->sys_errno = (int)sys_errno;
	result->len = transfer->response.len;
	result->detail = transfer->detail[0] != '\0'
			     ? transfer->detail
			     : curl_easy_strerror(transfer->code);
}

bool
staple_transfer_has_skipped_all(const struct staple_transfer *transfer)
{
	return transfer->skipped && transfer->tried_count == 0;
}

void
staple_transfer_note_addresses(struct staple_transfer *transfer, bool answered)
{
	struct staple_addresses *addresses = &transfer->client->addresses;
	const struct addr *peer = &transfer->peer;
	int64_t now_ms = clock_mono_ms();

	if (peer->len == 0 && transfer->securing && transfer->tried_count > 0)
		peer = &transfer->tried[transfer->tried_count - 1];
	for (unsigned i = 0; i < transfer->tried_count; i++) {
		const struct addr *addr = &transfer->tried[i];

		if (addr_equal(addr, peer))
			staple_addresses_note(
			    addresses, addr, answered, now_ms);
		else if (transfer->tried_count > 1 || transfer->skipped)
			staple_addresses_note(addresses, addr, false, now_ms);
	}
}

char *
staple_transfer_location(const struct staple_transfer *transfer)
{
	const char *location = transfer->response.location;
	CURLU *url = curl_url();
	char *base = NULL, *absolute = NULL, *copy = NULL;

	curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &base);
	if (url != NULL && base != NULL && location != NULL &&
	    curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_URL, location, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &absolute, 0) == CURLUE_OK)
		copy = strdup(absolute);
	curl_free(absolute);
	curl_url_cleanup(url);
	return copy;
}

const char *
staple_http_library(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}
