/*
 * Transfers on libcurl's multi interface.  Staple thread only, but for
 * staple_wire_wake.  Each has a connection of its own: one kept open would be
 * to yesterday's address, and would need its own rules about being closed
 * under our feet.
 */
#include "staple/fetch_inner.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>
#include <openssl/err.h>

#include "base/clock.h"
#include "base/err.h"
#include "staple/answer.h"

struct staple_wire {
	CURLM *multi;
	struct curl_slist *post_headers;
	struct curl_slist *get_headers;
	struct curl_slist *issuer_headers;
};

struct staple_transfer {
	struct staple_wire *wire;
	void *owner;
	CURL *easy;
	bool secure;
	CURLcode code; /* how it ended */
	struct staple_answer answer;
	char detail[CURL_ERROR_SIZE];
};

/* ---- The wire ---- */

static void
init_libcurl(void)
{
	/* A failure shows again when a handle is wanted. */
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool
add_header(struct curl_slist **list, const char *header)
{
	struct curl_slist *longer = curl_slist_append(*list, header);

	if (longer != NULL)
		*list = longer;
	return longer != NULL;
}

struct staple_wire *
staple_wire_new(struct err *err)
{
	static const char accept[] = "Accept: application/ocsp-response";
	static const char issuer[] = /* RFC 5280 4.2.2.1 */
	    "Accept: application/pkix-cert, application/pkcs7-mime, */*;q=0.5";
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct staple_wire *wire = calloc(1, sizeof(*wire));

	pthread_once(&once, init_libcurl);
	if (wire == NULL)
		goto fail;
	wire->multi = curl_multi_init();
	/* "Expect:" without a value: do not wait for a 100 Continue. */
	if (wire->multi == NULL || !add_header(&wire->get_headers, accept) ||
	    !add_header(&wire->issuer_headers, issuer) ||
	    !add_header(&wire->post_headers, accept) ||
	    !add_header(&wire->post_headers,
		"Content-Type: application/ocsp-request") ||
	    !add_header(&wire->post_headers, "Expect:"))
		goto fail;
	return wire;
fail:
	err_set(err, "no memory to set up libcurl");
	staple_wire_free(wire);
	return NULL;
}

void
staple_wire_free(struct staple_wire *wire)
{
	if (wire == NULL)
		return;
	curl_multi_cleanup(wire->multi);
	curl_slist_free_all(wire->post_headers);
	curl_slist_free_all(wire->get_headers);
	curl_slist_free_all(wire->issuer_headers);
	free(wire);
}

void
staple_wire_turn(struct staple_wire *wire, uint32_t wait_ms)
{
	int running, wait = wait_ms < INT32_MAX ? (int)wait_ms : INT32_MAX;

	/* What fails here fails the transfers, which say so. */
	(void)curl_multi_poll(wire->multi, NULL, 0, wait, NULL);
	(void)curl_multi_perform(wire->multi, &running);
	ERR_clear_error();
}

void
staple_wire_wake(struct staple_wire *wire)
{
	(void)curl_multi_wakeup(wire->multi);
}

void *
staple_wire_ended(struct staple_wire *wire)
{
	struct staple_transfer *transfer;
	CURLMsg *message;
	int more;

	do {
		message = curl_multi_info_read(wire->multi, &more);
		if (message == NULL)
			return NULL;
	} while (message->msg != CURLMSG_DONE);
	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
	transfer->code = message->data.result;
	return transfer->owner;
}

/* ---- What libcurl calls; fewer bytes than it has end the transfer ---- */

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

	return staple_answer_header(&transfer->answer, status_of(transfer),
		   line, size * count, clock_wall_ms() / 1000)
		   ? size * count
		   : 0;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct staple_transfer *transfer = arg;

	return staple_answer_body(
		   &transfer->answer, bytes, size * count, clock_mono_ms())
		   ? size * count
		   : 0;
}

/* ---- Its life ---- */

static unsigned
set_request(
    struct staple_transfer *transfer, const struct staple_fetch_order *order)
{
	const struct staple_wire *wire = transfer->wire;
	struct curl_slist *headers = wire->post_headers;
	CURL *easy = transfer->easy;
	unsigned bad = 0;

	if (order->get)
		headers = order->issuer ? wire->issuer_headers
					: wire->get_headers;
	bad |= curl_easy_setopt(easy, CURLOPT_URL, order->url);
	bad |= curl_easy_setopt(
	    easy, CURLOPT_TIMEOUT_MS, (long)order->timeout_ms);
	bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
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
	/* Or giving up would wait for a hanging name look-up. */
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
		/* All through it, whatever the environment says. */
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
	return bad;
}

struct staple_transfer *
staple_transfer_new(struct staple_wire *wire,
    const struct staple_fetch_order *order,
    const struct staple_fetch_options *options, void *owner)
{
	struct staple_transfer *transfer = calloc(1, sizeof(*transfer));

	if (transfer == NULL)
		return NULL;
	transfer->wire = wire;
	transfer->owner = owner;
	transfer->secure = strncasecmp(order->url, "https:", 6) == 0;
	staple_answer_init(&transfer->answer, options->max_response);
	transfer->easy = curl_easy_init();
	/* A setting that was lost could widen trust, so none may be. */
	if (transfer->easy != NULL && set_request(transfer, order) == 0 &&
	    set_manners(transfer->easy) == 0 &&
	    set_options(transfer->easy, options) == 0 &&
	    set_callbacks(transfer) == 0 &&
	    curl_multi_add_handle(wire->multi, transfer->easy) == CURLM_OK)
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
		curl_multi_remove_handle(transfer->wire->multi, transfer->easy);
	curl_easy_cleanup(transfer->easy);
	ERR_clear_error();
	staple_answer_fini(&transfer->answer);
	free(transfer);
}

/* ---- What it tells ---- */

static bool
has_passed(const struct staple_transfer *transfer, CURLINFO time)
{
	curl_off_t us = 0;

	curl_easy_getinfo(transfer->easy, time, &us);
	return us > 0;
}

enum staple_phase
staple_transfer_phase(const struct staple_transfer *transfer)
{
	long port = 0;

	if (transfer->answer.headed)
		return STAPLE_AT_BODY;
	if (!has_passed(transfer, CURLINFO_NAMELOOKUP_TIME_T))
		return STAPLE_AT_NAME;
	/* CONNECT_TIME is not known before TLS is there as well. */
	curl_easy_getinfo(transfer->easy, CURLINFO_LOCAL_PORT, &port);
	if (port == 0)
		return STAPLE_AT_CONNECT;
	if (transfer->secure &&
	    !has_passed(transfer, CURLINFO_APPCONNECT_TIME_T))
		return STAPLE_AT_TLS;
	return STAPLE_AT_HEADERS;
}

const struct staple_answer *
staple_transfer_answer(const struct staple_transfer *transfer)
{
	return &transfer->answer;
}

/* A transfer that we ended ourselves because its status says all is whole. */
static enum staple_trouble
trouble_of(const struct staple_transfer *transfer)
{
	if (transfer->answer.trouble != STAPLE_TROUBLE_NONE)
		return transfer->answer.trouble;
	switch (transfer->code) {
	case CURLE_OK:
	case CURLE_WRITE_ERROR:
		return transfer->answer.headed ? STAPLE_TROUBLE_NONE
					       : STAPLE_TROUBLE_CUT;
	case CURLE_URL_MALFORMAT:
		return STAPLE_TROUBLE_URL;
	case CURLE_COULDNT_RESOLVE_HOST:
		return STAPLE_TROUBLE_NAME;
	case CURLE_COULDNT_RESOLVE_PROXY:
		return STAPLE_TROUBLE_PROXY_NAME;
	case CURLE_COULDNT_CONNECT:
		return STAPLE_TROUBLE_CONNECT;
	case CURLE_OPERATION_TIMEDOUT:
		return STAPLE_TROUBLE_TIMEOUT;
	case CURLE_GOT_NOTHING:
		return STAPLE_TROUBLE_CLOSED;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		return STAPLE_TROUBLE_BROKEN;
	case CURLE_PARTIAL_FILE:
		return STAPLE_TROUBLE_CUT;
	case CURLE_FILESIZE_EXCEEDED:
		return STAPLE_TROUBLE_SIZE;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return STAPLE_TROUBLE_NO_HTTP;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		return STAPLE_TROUBLE_TLS;
	case CURLE_OUT_OF_MEMORY:
		/* Also libcurl's word for a line of over 100 KiB. */
		return has_passed(transfer, CURLINFO_STARTTRANSFER_TIME_T)
			   ? STAPLE_TROUBLE_SIZE
			   : STAPLE_TROUBLE_MEMORY;
	default:
		return STAPLE_TROUBLE_OTHER;
	}
}

void
staple_transfer_tell(
    const struct staple_transfer *transfer, struct staple_ending *ending)
{
	long proxy = 0, sys_errno = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &proxy);
	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &sys_errno);
	ending->trouble = trouble_of(transfer);
	ending->phase = staple_transfer_phase(transfer);
	ending->http_status = status_of(transfer);
	ending->proxy_status = proxy >= 300 ? (int)proxy : 0;
	ending->sys_errno = (int)sys_errno;
	ending->len = transfer->answer.len;
	ending->detail = transfer->detail;
}

char *
staple_transfer_location(const struct staple_transfer *transfer)
{
	const char *location = transfer->answer.location;
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
