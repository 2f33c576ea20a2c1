/*
 * Reading responses.  Staple thread only; it blocks for as long as a small
 * file takes.  The time of a file means nothing for the response in it: a
 * process that uses a file sets it.  Where a saved file is longer than the
 * response made of it, the shorter form is saved: an earlier version saved
 * responses as they came.
 */
#include "staple/disk.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "staple/ask.h"
#include "staple/cache.h"
#include "staple/errand.h"
#include "staple/log_state.h"
#include "staple/response.h"
#include "staple/schedule.h"
#include "staple/settings.h"
#include "staple/store.h"
#include "staple/writer.h"

enum {
	JUDGE_AGAIN_S = 60,
	/* How long another process may take for a response. */
	YIELD_MS = 60 * 1000,
	YIELD_WITHOUT_MS = 5000 /* while nothing valid is held */
};

static const struct staple_options *
settings_of(const struct staple_errand *errand)
{
	return &errand->worker->settings->values;
}

static struct staple_response *
judge(const struct staple_errand *errand, const struct staple_bytes *bytes,
    struct staple_verdict *verdict)
{
	struct staple_response *held = staple_cache_held(errand->entry);
	struct staple_response *fresh;
	struct staple_matter matter = {
		.cert = errand->cert,
		.held = held,
		.der = bytes->data,
		.len = bytes->len,
		.clock = { errand->worker->wall_s,
		    settings_of(errand)->default_lifetime_s },
	};

	fresh = staple_judge(&matter, verdict);
	staple_response_unref(held);
	return fresh;
}

static void
use_saved(struct staple_errand *errand, struct staple_response *saved,
    const struct staple_bytes *bytes)
{
	size_t len;

	staple_cache_publish(errand->entry, saved);
	(void)staple_response_der(saved, &len);
	if (len != bytes->len && errand->worker->writer != NULL)
		staple_writer_save(
		    errand->worker->writer, errand->cert, saved, NULL);
	if (staple_response_is_revoked(saved))
		errand->accuser = STAPLE_ACCUSER_FORGOTTEN;
	staple_report_line(errand, STAPLE_LEVEL_INFO, STAPLE_UNASKED,
	    "the response that was saved by an earlier run is used");
	staple_report_flaws(errand, saved);
}

/* Nobody is to blame for a response that expired while we were away. */
static enum staple_level
level_of(enum staple_outcome outcome)
{
	return outcome == STAPLE_EXPIRED ? STAPLE_LEVEL_INFO
					 : STAPLE_LEVEL_WARNING;
}

static void
judge_saved(struct staple_errand *errand, const struct staple_bytes *bytes)
{
	struct staple_verdict verdict;
	struct staple_response *saved = judge(errand, bytes, &verdict);

	if (saved != NULL)
		use_saved(errand, saved, bytes);
	else
		staple_report_line(errand, level_of(verdict.outcome),
		    verdict.outcome, "the saved response is not used: %s",
		    verdict.said.text);
	staple_response_unref(saved);
}

void
staple_disk_load(struct staple_errand *errand)
{
	struct staple_window window;
	struct staple_bytes bytes;
	struct err err;

	if (errand->worker->store == NULL || errand->cert->issuer == NULL ||
	    staple_job_window(errand, &window))
		return;
	staple_store_stamp(
	    errand->worker->store, errand->cert->id, &errand->saved);
	if (!staple_store_read(errand->worker->store, errand->cert->id,
		settings_of(errand)->max_response, &bytes, &err)) {
		staple_report_line(errand, STAPLE_LEVEL_WARNING,
		    STAPLE_FILE_UNREADABLE,
		    "the saved response is not used: %s", err.text);
		return;
	}
	if (bytes.data != NULL)
		judge_saved(errand, &bytes);
	free(bytes.data);
}

/* ---- Other processes that share the store ---- */

static bool
is_held(struct staple_errand *errand, const struct staple_bytes *bytes)
{
	struct staple_response *held = staple_cache_held(errand->entry);
	const unsigned char *der;
	size_t len = 0;
	bool same;

	if (held == NULL)
		return false;
	der = staple_response_der(held, &len);
	same = len == bytes->len && memcmp(der, bytes->data, len) == 0;
	staple_response_unref(held);
	return same;
}

/* A new reference to what another process has saved since the file was last
 * read, if that is newer than the held response.  Other contents are not
 * logged; the fetch replaces them. */
static struct staple_response *
read_changed(struct staple_errand *errand, struct staple_verdict *verdict)
{
	struct staple_store *store = errand->worker->store;
	const char *id = errand->cert->id;
	struct staple_response *fresh = NULL;
	struct staple_stamp stamp;
	struct staple_bytes bytes;
	struct err err;

	staple_store_stamp(store, id, &stamp);
	if (memcmp(&stamp, &errand->saved, sizeof(stamp)) == 0)
		return NULL;
	errand->saved = stamp;
	if (!staple_store_read(
		store, id, settings_of(errand)->max_response, &bytes, &err))
		return NULL;
	if (bytes.data != NULL && !is_held(errand, &bytes))
		fresh = judge(errand, &bytes, verdict);
	free(bytes.data);
	return fresh;
}

/* The held response is good and before the middle of its window: no request is
 * needed. */
static bool
is_fresh(const struct staple_errand *errand)
{
	struct staple_window window;

	return errand->accuser == STAPLE_ACCUSER_NONE &&
	       staple_job_window(errand, &window) &&
	       errand->worker->wall_s < staple_schedule_quarters(&window, 2);
}

/* false: the request must be made. */
static bool
take_over(struct staple_errand *errand)
{
	struct staple_reply reply = { .outcome = STAPLE_GOOD,
		.freshness_s = -1 };
	struct staple_verdict verdict;
	bool spared;

	reply.response = read_changed(errand, &verdict);
	if (reply.response == NULL)
		return false;
	staple_cache_publish(errand->entry, reply.response);
	if (staple_response_is_revoked(reply.response))
		errand->accuser = STAPLE_ACCUSER_FORGOTTEN;
	staple_report_line(errand, STAPLE_LEVEL_DEBUG, STAPLE_UNASKED,
	    "the response that another process has saved is used");
	spared = is_fresh(errand);
	if (spared) {
		staple_ask_cancel(errand);
		err_set(&errand->said, "saved by another process: %s",
		    verdict.said.text);
		staple_errand_answered(errand, &reply);
	}
	staple_response_unref(reply.response);
	return spared;
}

/* Wait a second for the process that has the claim; false: long enough. */
static bool
yield(struct staple_errand *errand)
{
	int64_t now_ms = errand->worker->mono_ms;
	struct staple_window window;
	bool is_valid = staple_job_window(errand, &window) &&
			errand->worker->wall_s < window.expires;

	if (errand->yields_since_ms == 0)
		errand->yields_since_ms = now_ms;
	if (now_ms - errand->yields_since_ms >=
	    (is_valid ? YIELD_MS : YIELD_WITHOUT_MS))
		return false;
	staple_ask_cancel(errand);
	staple_job_set_due(errand, errand->worker->wall_s + 1);
	staple_job_schedule_review(errand);
	return true;
}

bool
staple_disk_spares(struct staple_errand *errand)
{
	if (errand->worker->store == NULL || errand->on_demand ||
	    errand->accuser != STAPLE_ACCUSER_NONE)
		return false;
	if (errand->claim == NULL &&
	    !staple_store_claim(
		errand->worker->store, errand->cert->id, &errand->claim) &&
	    yield(errand))
		return true;
	return take_over(errand);
}

/* ---- staple_file ---- */

/* A response as base64 or PEM is larger than the response. */
enum { TEXT_FACTOR = 2 };

static bool
is_space(unsigned char byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static void
trim(struct staple_bytes *bytes)
{
	size_t begin = 0;

	while (bytes->len > 0 && is_space(bytes->data[bytes->len - 1]))
		bytes->len--;
	while (begin < bytes->len && is_space(bytes->data[begin]))
		begin++;
	bytes->len -= begin;
	memmove(bytes->data, bytes->data + begin, bytes->len);
}

/* The length that the header of a DER value names, the header included (X.690
 * section 8.1.3); 0: none that fits. */
static size_t
der_length(const unsigned char *data, size_t len)
{
	size_t octets, value = 0;

	if (len < 2)
		return 0;
	if (data[1] < 0x80)
		return 2 + (size_t)data[1];
	octets = data[1] & 0x7f;
	if (octets == 0 || octets > 4 || len < 2 + octets)
		return 0;
	for (size_t i = 0; i < octets; i++)
		value = value << 8 | data[2 + i];
	return 2 + octets + value;
}

/* White space around a DER value; a last byte of the value may look like it. */
static void
trim_der(struct staple_bytes *bytes)
{
	size_t length = der_length(bytes->data, bytes->len), end = length;

	if (length == 0 || length >= bytes->len)
		return;
	while (end < bytes->len && is_space(bytes->data[end]))
		end++;
	if (end == bytes->len)
		bytes->len = length;
}

/* The text between the boundaries of a first PEM block; all of it where there
 * is none. */
static void
find_base64(
    const struct staple_bytes *bytes, const char **text, size_t *text_len)
{
	static const char begin[] = "-----BEGIN ", end[] = "-----END ";
	const char *data = (const char *)bytes->data, *at, *stop;

	*text = data;
	*text_len = bytes->len;
	at = memmem(data, bytes->len, begin, sizeof(begin) - 1);
	if (at != NULL)
		at = memchr(at, '\n', (size_t)(data + bytes->len - at));
	if (at == NULL)
		return;
	stop = memmem(
	    at, (size_t)(data + bytes->len - at), end, sizeof(end) - 1);
	if (stop == NULL)
		return;
	*text = at;
	*text_len = (size_t)(stop - at);
}

/* false: it is no base64, or there is no memory. */
static bool
decode_base64(struct staple_bytes *bytes)
{
	EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
	unsigned char *out = malloc(bytes->len + 1);
	const char *text;
	size_t len;
	int used = 0, rest = 0;
	bool good;

	find_base64(bytes, &text, &len);
	good = context != NULL && out != NULL && len < INT_MAX;
	if (good) {
		EVP_DecodeInit(context);
		good = EVP_DecodeUpdate(context, out, &used,
			   (const unsigned char *)text, (int)len) >= 0 &&
		       EVP_DecodeFinal(context, out + used, &rest) == 1;
	}
	EVP_ENCODE_CTX_free(context);
	if (!good) {
		free(out);
		return false;
	}
	free(bytes->data);
	bytes->data = out;
	bytes->len = (size_t)used + (size_t)rest;
	return true;
}

/* DER, or base64 or PEM of it.  What is none of these stays as it is: the
 * judgement finds it malformed. */
static void
decode_file(struct staple_bytes *bytes)
{
	size_t begin = 0;

	while (begin < bytes->len && is_space(bytes->data[begin]))
		begin++;
	if (begin == bytes->len)
		return;
	if (bytes->data[begin] != 0x30) { /* a SEQUENCE */
		trim(bytes);
		(void)decode_base64(bytes);
		return;
	}
	bytes->len -= begin;
	memmove(bytes->data, bytes->data + begin, bytes->len);
	trim_der(bytes);
}

/* Has it changed, or is it time to judge the same bytes again? */
static bool
is_news(struct staple_errand *errand)
{
	int64_t since = errand->worker->wall_s - errand->looked_at;
	struct staple_stamp stamp;
	bool same;

	staple_file_stamp(errand->cert->staple_file, &stamp);
	same = memcmp(&stamp, &errand->stamp, sizeof(stamp)) == 0;
	errand->stamp = stamp;
	return !errand->looked || !same ||
	       (errand->failures != 0 && (since < 0 || since >= JUDGE_AGAIN_S));
}

static bool
read_file(
    struct staple_errand *errand, struct staple_bytes *bytes, struct err *err)
{
	size_t max = settings_of(errand)->max_response;

	if (!staple_file_read(
		errand->cert->staple_file, TEXT_FACTOR * max, bytes, err))
		return false;
	if (bytes->data == NULL) {
		err_set(err, "there is no such file");
		return false;
	}
	decode_file(bytes);
	if (bytes->len <= max)
		return true;
	err_set(err,
	    "the response has more than %zu bytes: check the file, or "
	    "raise max_response",
	    max);
	free(bytes->data);
	bytes->data = NULL;
	return false;
}

static void
judge_file(struct staple_errand *errand, const struct staple_bytes *bytes)
{
	struct staple_reply reply = { .freshness_s = -1 };
	struct staple_verdict verdict;

	reply.response = judge(errand, bytes, &verdict);
	reply.outcome = verdict.outcome;
	err_set(&errand->said, "%s: %s", errand->cert->staple_file,
	    verdict.said.text);
	if (reply.response != NULL)
		staple_errand_answered(errand, &reply);
	else
		staple_errand_failed(errand, verdict.outcome);
	staple_response_unref(reply.response);
}

void
staple_disk_look(struct staple_errand *errand)
{
	struct staple_bytes bytes;
	struct err err;

	if (!is_news(errand))
		return;
	errand->looked = true;
	errand->looked_at = errand->worker->wall_s;
	if (!read_file(errand, &bytes, &err)) {
		err_set(&errand->said, "%s: %s", errand->cert->staple_file,
		    err.text);
		staple_errand_failed(errand, STAPLE_FILE_UNREADABLE);
		return;
	}
	judge_file(errand, &bytes);
	free(bytes.data);
}
