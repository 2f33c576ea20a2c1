/*
 * HTTP transfers on libcurl's multi interface; the only file with
 * <curl/curl.h>.  Staple thread only, except staple_http_wake.  Each transfer
 * has a connection of its own: a connection kept open would be to an address
 * that may be outdated, and could be closed by the peer at any moment.  libcurl
 * stores the headers of a response; they are read when the transfer has ended.
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

/*
 * ---- Header values, RFC 9110 and 9111 ----
 *
 * libcurl splits and trims the headers, keeps those of the response apart from
 * those of interim responses, proxies and trailers, and computes dates.  A value
 * that does not match its grammar to the last byte counts as absent, because a
 * wrong time is worse than the schedule without one.  CURLINFO_RETRY_AFTER
 * accepts "120s" and returns the value of an interim response.
 */

#define DAY_S (24 * 60 * 60)
#define CENTURY_S (36525LL * DAY_S)
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define BLANKS " \t"
#define CACHE_CONTROLS_MAX 16 /* a look-up goes through all headers */

/* A number before `end`.  RFC 9111 1.2.2: what is too large to hold is the
 * largest that can be.  -1: none. */
static int64_t
seconds(const char *text, const char *end)
{
	size_t digits = strspn(text, DIGITS);
	long long total;

	if (digits == 0 || text + digits != end)
		return -1;
	total = strtoll(text, NULL, 10);
	return total < INT32_MAX ? total : INT32_MAX;
}

static int64_t
whole_seconds(const char *value)
{
	return seconds(value, value + strlen(value));
}

/* How many bytes stand for this letter of a form; 0: it does not fit. */
static size_t
eat(const char *text, char letter)
{
	switch (letter) {
	case 'a':
		return strspn(text, LETTERS);
	case '0':
		return strspn(text, DIGITS) > 0;
	case '_':
		return strspn(text, DIGITS " ") > 0;
	default:
		return *text == letter;
	}
}

/* form: `a` is a word, `0` a digit, `_` a digit or a space; the rest stands for
 * itself. */
static bool
has_form(const char *text, const char *form)
{
	for (; *form != '\0'; form++) {
		size_t n = eat(text, *form);

		if (n == 0)
			return false;
		text += n;
	}
	return *text == '\0';
}

/*
 * RFC 9110 5.6.7; -1: not a date.  curl_getdate accepts more than its three
 * forms: other zones, no seconds, bytes behind the date.  Two digits of a year
 * are the last such year that is not more than 50 years ahead; curl_getdate has
 * fixed limits, 1971 and 2070.
 */
static int64_t
read_date(const char *value, int64_t now_s)
{
	static const int64_t fifty_years_s = CENTURY_S / 2 + DAY_S / 2;
	bool two_digits = has_form(value, "a, 00-a-00 00:00:00 GMT");
	int64_t when_s;

	if (!two_digits && !has_form(value, "a, 00 a 0000 00:00:00 GMT") &&
	    !has_form(value, "a a _0 00:00:00 0000"))
		return -1;
	when_s = curl_getdate(value, NULL);
	if (when_s == -1 || !two_digits)
		return when_s;
	if (when_s > now_s + fifty_years_s)
		return when_s - CENTURY_S;
	return when_s < now_s - fifty_years_s ? when_s + CENTURY_S : when_s;
}

int64_t
staple_http_retry_after(const char *value, int64_t now_s)
{
	int64_t wait_s = whole_seconds(value), when_s;

	if (wait_s < 0 && (when_s = read_date(value, now_s)) != -1)
		wait_s = when_s - now_s;
	if (wait_s <= 0)
		return 0;
	return wait_s < DAY_S ? wait_s : DAY_S;
}

int64_t
staple_http_age(const char *value)
{
	int64_t age_s = whole_seconds(value);

	return age_s > 0 ? age_s : 0;
}

int64_t
staple_http_expires(const char *value, int64_t now_s)
{
	int64_t when_s = read_date(value, now_s);

	if (when_s == -1)
		return -1;
	return when_s > now_s ? when_s - now_s : 0;
}

/* Is this word all of the text, but for blanks at its end? */
static bool
is_word(const char *text, size_t len, const char *word)
{
	while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
		len--;
	return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

bool
staple_http_is_ocsp(const char *value)
{
	return is_word(value, strcspn(value, ";"), "application/ocsp-response");
}

/* ---- Cache-Control, RFC 9111 5.2: a list, values perhaps quoted ---- */

/* Up to the next comma, quotes respected. */
static size_t
directive_length(const char *list)
{
	bool quoted = false;
	size_t n;

	for (n = 0; list[n] != '\0'; n++) {
		if (list[n] == '"')
			quoted = !quoted;
		else if (quoted && list[n] == '\\' && list[n + 1] != '\0')
			n++;
		else if (!quoted && list[n] == ',')
			break;
	}
	return n;
}

/* max-age=5, and max-age="5" as RFC 9111 5.2 requires to accept. */
static int64_t
read_max_age(const char *directive, size_t len)
{
	static const char name[] = "max-age=";
	const char *value = directive + sizeof(name) - 1;
	const char *end = directive + len;

	if (strncasecmp(directive, name, sizeof(name) - 1) != 0)
		return -1;
	while (end > value && strchr(BLANKS, end[-1]) != NULL)
		end--;
	if (end - value >= 2 && *value == '"' && end[-1] == '"') {
		value++;
		end--;
	}
	return seconds(value, end);
}

/* RFC 9111 4.2.1: of two that differ, the more careful. */
static int64_t
lesser_age(int64_t a, int64_t b)
{
	return a >= 0 && (b < 0 || a < b) ? a : b;
}

int64_t
staple_http_max_age(const char *value)
{
	int64_t least = -1;

	for (;;) {
		size_t len;

		value += strspn(value, BLANKS ",");
		if (*value == '\0')
			return least;
		len = directive_length(value);
		if (is_word(value, len, "no-cache") ||
		    is_word(value, len, "no-store"))
			return 0;
		least = lesser_age(least, read_max_age(value, len));
		value += len;
	}
}

/* ---- Headers of a response ---- */

/* The value of the nth header of that name; NULL: none.  Not of an interim
 * response or of a proxy (RFC 9110 15.2), nor of a trailer. */
static const char *
find_header(const struct staple_fetch *fetch, const char *name, size_t nth)
{
	struct curl_header *header;

	return curl_easy_header(fetch->transfer.easy, name, nth, CURLH_HEADER,
		   -1, &header) == CURLHE_OK
		   ? header->value
		   : NULL;
}

/* RFC 9110 5.3: several lines of one name are one list. */
static int64_t
find_max_age(const struct staple_fetch *fetch)
{
	int64_t least = -1;
	const char *value;

	for (size_t i = 0; i < CACHE_CONTROLS_MAX; i++) {
		value = find_header(fetch, "Cache-Control", i);
		if (value == NULL)
			break;
		least = lesser_age(least, staple_http_max_age(value));
	}
	return least;
}

/* RFC 9111 4.2: seconds it is fresh for; -1: none. */
static int64_t
find_freshness(const struct staple_fetch *fetch, int64_t now_s)
{
	int64_t max_age_s = find_max_age(fetch), age_s = 0;
	const char *value;

	if (max_age_s < 0) {
		value = find_header(fetch, "Expires", 0);
		return value != NULL ? staple_http_expires(value, now_s) : -1;
	}
	value = find_header(fetch, "Age", 0);
	if (value != NULL)
		age_s = staple_http_age(value);
	return max_age_s > age_s ? max_age_s - age_s : 0;
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
	size_t len = size * count;

	fetch->transfer.header_bytes += len;
	if (fetch->transfer.header_bytes > STAPLE_HEADERS_MAX) {
		fetch->transfer.error = STAPLE_ERROR_SIZE;
		return 0;
	}
	/* The empty line, and not of an interim response or of a proxy. */
	if (len > 0 && (line[0] == '\r' || line[0] == '\n') &&
	    status_of(fetch) >= 200)
		fetch->transfer.headed = true;
	/* The body of an error may be endless and is not used. */
	return fetch->transfer.headed && status_of(fetch) != 200 ? 0 : len;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct staple_fetch *fetch = arg;
	size_t len = size * count, before = fetch->transfer.len;
	unsigned char *larger;

	if (len > fetch->transfer.max - before) {
		fetch->transfer.error = STAPLE_ERROR_SIZE;
		return 0;
	}
	larger = realloc(fetch->transfer.body, before + len + 1);
	if (larger == NULL) {
		fetch->transfer.error = STAPLE_ERROR_MEMORY;
		return 0;
	}
	memcpy(larger + before, bytes, len);
	fetch->transfer.body = larger;
	fetch->transfer.len += len;
	fetch->transfer.last_byte_ms = clock_mono_ms();
	return len;
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
	bad |= curl_easy_setopt(
	    easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)fetch->transfer.max);
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
	const struct staple_fetch_options *options = &fetch->fetcher->options;
	CURL *easy = curl_easy_init();

	fetch->transfer.easy = easy;
	fetch->transfer.max = fetch->order.issuer ? STAPLE_ISSUER_BYTES_MAX
						  : options->max_response;
	/* A setting that was lost could widen trust, so none may be. */
	if (easy != NULL && set_request(fetch, timeout_ms) == 0 &&
	    set_manners(easy) == 0 && set_options(easy, options) == 0 &&
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
	free(fetch->transfer.body);
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
	if (fetch->transfer.headed)
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
	if (fetch->transfer.error != STAPLE_ERROR_NONE)
		return fetch->transfer.error;
	if ((int)code == TOO_LARGE)
		return STAPLE_ERROR_SIZE;
	switch (code) {
	case CURLE_OK:
	case CURLE_WRITE_ERROR:
		return fetch->transfer.headed ? STAPLE_ERROR_NONE
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
	CURL *easy = fetch->transfer.easy;
	const char *type = find_header(fetch, "Content-Type", 0);
	const char *retry = find_header(fetch, "Retry-After", 0);
	int64_t now_s = clock_wall_ms() / 1000;
	long proxy = 0, sys_errno = 0;

	curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &proxy);
	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &sys_errno);
	result->error = fetch->transfer.error;
	result->phase = staple_http_phase(fetch);
	result->http_status = status_of(fetch);
	result->proxy_status = proxy >= 300 ? (int)proxy : 0;
	result->sys_errno = (int)sys_errno;
	result->detail = fetch->transfer.detail;
	result->body = fetch->transfer.body;
	result->len = fetch->transfer.len;
	result->right_type = type != NULL && staple_http_is_ocsp(type);
	result->freshness_s = find_freshness(fetch, now_s);
	if (retry != NULL &&
	    (result->http_status == 429 || result->http_status == 503))
		result->retry_after_s = staple_http_retry_after(retry, now_s);
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

/* Not CURLINFO_REDIRECT_URL: libcurl sets it when the body has ended, and
 * on_header ends the transfer before it. */
bool
staple_http_redirects(const struct staple_fetch *fetch, char **where)
{
	const char *location = find_header(fetch, "Location", 0);
	char *base = NULL, *absolute = NULL;
	int status = status_of(fetch);
	CURLU *url;

	*where = NULL;
	if (location == NULL ||
	    (status != 301 && status != 302 && status != 303 && status != 307 &&
		status != 308))
		return false;
	url = curl_url();
	curl_easy_getinfo(fetch->transfer.easy, CURLINFO_EFFECTIVE_URL, &base);
	if (url != NULL && base != NULL &&
	    curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_URL, location, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &absolute, 0) == CURLUE_OK)
		*where = strdup(absolute);
	curl_free(absolute);
	curl_url_cleanup(url);
	return true;
}

const char *
staple_http_library(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}
