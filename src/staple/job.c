/*
 * The job of one certificate: it reads responses from the store and from
 * staple_file, and turns the result of an attempt into the schedule, the state
 * of a revocation and the reports.  Staple thread only, which blocks while a
 * small file is read.
 *
 * A revocation has to be confirmed.  job->revoked_variant is the variant with
 * the first "revoked"; until the revocation is confirmed all other variants are
 * sent before it, and only the answer of another one confirms it.
 *
 * The modification time of a saved file is not the age of its response: each
 * process that uses the file sets it.  A saved file that is longer than the
 * response made of it contains certificates that no client needs
 * (staple_ocsp_trim), and is replaced.
 */
#include "staple/job.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "staple/attempt.h"
#include "staple/cache.h"
#include "staple/issuers.h"
#include "staple/log_state.h"
#include "staple/response.h"
#include "staple/schedule.h"
#include "staple/settings.h"
#include "staple/store.h"
#include "staple/writer.h"

enum {
	CHECK_AGAIN_S = 60, /* a staple_file that could not be used */
	/* The longest wait for the fetch of another process. */
	YIELD_MS = 60 * 1000,
	YIELD_WITHOUT_MS = 5000 /* while nothing valid is held */
};

const struct staple_options *
staple_job_settings(const struct staple_job *job)
{
	return &job->worker->settings->values;
}

/* ---- The saved response ---- */

struct staple_clock
staple_job_clock(const struct staple_job *job)
{
	return (struct staple_clock){ job->worker->wall_s,
		staple_job_settings(job)->default_lifetime_s };
}

static struct staple_response *
check_bytes(const struct staple_job *job, const struct staple_bytes *bytes,
    struct staple_result *checked)
{
	const struct staple_clock clock = staple_job_clock(job);
	struct staple_response *held = staple_cache_response(job->entry);
	struct staple_response *fresh = staple_response_check(
	    job->cert, held, bytes->data, bytes->len, &clock, checked);

	staple_response_unref(held);
	return fresh;
}

static void
use_saved(struct staple_job *job, struct staple_response *saved,
    const struct staple_bytes *bytes)
{
	size_t len;

	staple_cache_publish(job->entry, saved);
	(void)staple_response_der(saved, &len);
	if (len != bytes->len && job->worker->writer != NULL)
		staple_writer_save(job->worker->writer, job->cert, saved, NULL);
	if (staple_response_is_revoked(saved))
		job->revoked_by = STAPLE_REVOKED_BY_UNKNOWN;
	staple_report_line(
	    job, STAPLE_LEVEL_INFO, STAPLE_UNASKED, "saved response used");
	staple_report_flaws(job, saved);
}

/* A saved response that expired while no process ran is not a fault. */
static enum staple_level
level_of(enum staple_outcome outcome)
{
	return outcome == STAPLE_EXPIRED ? STAPLE_LEVEL_INFO
					 : STAPLE_LEVEL_WARNING;
}

static void
use_saved_bytes(struct staple_job *job, const struct staple_bytes *bytes)
{
	struct staple_result checked;
	struct staple_response *saved = check_bytes(job, bytes, &checked);

	if (saved != NULL)
		use_saved(job, saved, bytes);
	else
		staple_report_line(job, level_of(checked.outcome),
		    checked.outcome, "saved response not used: %s",
		    checked.said.text);
	staple_response_unref(saved);
}

static void
load_saved(struct staple_job *job)
{
	struct staple_window window;
	struct staple_bytes bytes;
	struct err err;

	if (job->worker->store == NULL || job->cert->issuer == NULL ||
	    staple_job_window(job, &window))
		return;
	staple_store_stamp(job->worker->store, job->cert->id, &job->saved);
	if (!staple_store_read(job->worker->store, job->cert->id,
		staple_job_settings(job)->max_response, &bytes, &err)) {
		staple_report_line(job, STAPLE_LEVEL_WARNING,
		    STAPLE_FILE_UNREADABLE, "saved response not used: %s",
		    err.text);
		return;
	}
	if (bytes.data != NULL)
		use_saved_bytes(job, &bytes);
	free(bytes.data);
}

/* ---- Other processes that share the store ---- */

static bool
is_held(struct staple_job *job, const struct staple_bytes *bytes)
{
	struct staple_response *held = staple_cache_response(job->entry);
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

/* A new reference to the response that another process has saved since the file
 * was last read, if it is newer than the held one.  NULL: there is none.  Other
 * contents are not logged; the fetch replaces them. */
static struct staple_response *
read_changed(struct staple_job *job, struct staple_result *checked)
{
	struct staple_store *store = job->worker->store;
	const char *id = job->cert->id;
	struct staple_response *fresh = NULL;
	struct staple_stamp stamp;
	struct staple_bytes bytes;
	struct err err;

	staple_store_stamp(store, id, &stamp);
	if (memcmp(&stamp, &job->saved, sizeof(stamp)) == 0)
		return NULL;
	job->saved = stamp;
	if (!staple_store_read(store, id,
		staple_job_settings(job)->max_response, &bytes, &err))
		return NULL;
	if (bytes.data != NULL && !is_held(job, &bytes))
		fresh = check_bytes(job, &bytes, checked);
	free(bytes.data);
	return fresh;
}

/* The held response is good and before the middle of its window: no request is
 * needed. */
static bool
is_fresh(const struct staple_job *job)
{
	struct staple_window window;

	return job->revoked_by == STAPLE_REVOKED_BY_NONE &&
	       staple_job_window(job, &window) &&
	       job->worker->wall_s < staple_schedule_quarters(&window, 2);
}

/* Take a response that another process has saved.  false: send the request. */
static bool
take_saved(struct staple_job *job)
{
	struct staple_result result;
	struct staple_response *saved = read_changed(job, &result);
	bool spared;

	if (saved == NULL)
		return false;
	staple_cache_publish(job->entry, saved);
	if (staple_response_is_revoked(saved))
		job->revoked_by = STAPLE_REVOKED_BY_UNKNOWN;
	staple_report_line(job, STAPLE_LEVEL_DEBUG, STAPLE_UNASKED,
	    "response saved by another process used");
	spared = is_fresh(job);
	if (spared) {
		staple_attempt_cancel(job);
		result.outcome = STAPLE_GOOD;
		err_prefix(&result.said, "saved by another process");
		staple_job_answered(job, saved, &result, -1);
	}
	staple_response_unref(saved);
	return spared;
}

/* Wait a second for the process that holds the claim.  false: the wait is
 * over. */
static bool
yield(struct staple_job *job)
{
	int64_t now_ms = job->worker->mono_ms;
	struct staple_window window;
	bool is_valid = staple_job_window(job, &window) &&
			job->worker->wall_s < window.expires;

	if (job->yields_since_ms == 0)
		job->yields_since_ms = now_ms;
	if (now_ms - job->yields_since_ms >=
	    (is_valid ? YIELD_MS : YIELD_WITHOUT_MS))
		return false;
	staple_attempt_cancel(job);
	staple_job_set_due(job, job->worker->wall_s + 1);
	staple_job_schedule_review(job);
	return true;
}

bool
staple_job_spares_request(struct staple_job *job)
{
	if (job->worker->store == NULL || job->on_demand ||
	    job->revoked_by != STAPLE_REVOKED_BY_NONE)
		return false;
	if (job->claim == NULL &&
	    !staple_store_claim(
		job->worker->store, job->cert->id, &job->claim) &&
	    yield(job))
		return true;
	return take_saved(job);
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

/* The length of a DER value by its header, the header included (X.690 section
 * 8.1.3).  0: the header is cut, indefinite or longer than four octets. */
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

/* Remove white space behind a DER value.  Its header decides where it ends: its
 * last byte may equal a blank. */
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

/* The text between the boundaries of the first PEM block; without a PEM block,
 * all bytes. */
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

/* Convert base64 and PEM to DER.  Other bytes stay as they are, and the check of
 * the response finds them malformed. */
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

/* Has the file changed, or is it time to check the same bytes again? */
static bool
must_check_file(struct staple_job *job)
{
	int64_t since = job->worker->wall_s - job->file_checked_s;
	struct staple_stamp stamp;
	bool same;

	staple_file_stamp(job->cert->staple_file, &stamp);
	same = memcmp(&stamp, &job->stamp, sizeof(stamp)) == 0;
	job->stamp = stamp;
	return !job->file_checked || !same ||
	       (job->failures != 0 && (since < 0 || since >= CHECK_AGAIN_S));
}

static bool
read_file(struct staple_job *job, struct staple_bytes *bytes, struct err *err)
{
	size_t max = staple_job_settings(job)->max_response;

	if (!staple_file_read(
		job->cert->staple_file, TEXT_FACTOR * max, bytes, err))
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
use_file(struct staple_job *job, const struct staple_bytes *bytes)
{
	struct staple_result result;
	struct staple_response *fresh = check_bytes(job, bytes, &result);

	err_prefix(&result.said, "%s", job->cert->staple_file);
	if (fresh != NULL)
		staple_job_answered(job, fresh, &result, -1);
	else
		staple_job_failed(job, &result);
	staple_response_unref(fresh);
}

static void
check_file(struct staple_job *job)
{
	struct staple_result unread = { .outcome = STAPLE_FILE_UNREADABLE };
	struct staple_bytes bytes;

	if (!must_check_file(job))
		return;
	job->file_checked = true;
	job->file_checked_s = job->worker->wall_s;
	if (!read_file(job, &bytes, &unread.said)) {
		err_prefix(&unread.said, "%s", job->cert->staple_file);
		staple_job_failed(job, &unread);
		return;
	}
	use_file(job, &bytes);
	free(bytes.data);
}

/* ---- Creation ---- */

struct staple_job *
staple_job_new(struct staple_worker *worker, struct staple_entry *entry)
{
	struct staple_job *job;

	/* Reserve its place now: scheduling cannot fail later. */
	if (!heap_reserve(&worker->agenda, worker->job_count + 1))
		return NULL;
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		return NULL;
	worker->job_count++;
	list_init(&job->node);
	job->worker = worker;
	job->entry = entry;
	staple_entry_ref(entry);
	staple_entry_set_job(entry, job);
	return job;
}

void
staple_job_free(struct staple_job *job)
{
	staple_attempt_cancel(job);
	staple_attempt_drop_hosts(job);
	heap_remove(&job->worker->agenda, &job->wake);
	job->worker->job_count--;
	list_remove(&job->node);
	staple_entry_set_job(job->entry, NULL);
	staple_entry_unref(job->entry);
	staple_cert_unref(job->cert);
	free(job);
}

bool
staple_job_is_confirming(const struct staple_job *job)
{
	return job->revoked_by == STAPLE_REVOKED_BY_VARIANT && !job->confirmed;
}

/* Does staple_wait wait for the confirmation? */
static bool
is_in_doubt(const struct staple_job *job)
{
	return staple_job_is_confirming(job) && !job->unconfirmable;
}

/* ---- Results of an attempt ---- */

/* Put the response into the cache, then save it.  A response with the held
 * bytes is published as well: a changed default_lifetime changes its expiry. */
static void
publish(struct staple_job *job, struct staple_response *fresh)
{
	struct staple_response *held = staple_cache_response(job->entry);

	staple_cache_publish(job->entry, fresh);
	if (job->worker->writer != NULL &&
	    (held == NULL || !staple_response_same(held, fresh))) {
		staple_writer_save(
		    job->worker->writer, job->cert, fresh, job->claim);
		job->claim = NULL;
	}
	staple_response_unref(held);
}

/* The same variant cannot confirm its own answer. */
static bool
is_first_revoker(
    const struct staple_job *job, const struct staple_request_variant *variant)
{
	const struct staple_request_variant *first = &job->revoked_variant;

	return job->revoked_by == STAPLE_REVOKED_BY_VARIANT &&
	       first->url == variant->url && first->get == variant->get &&
	       first->hash == variant->hash;
}

static void
note_revoked(struct staple_job *job)
{
	if (job->cert->staple_file != NULL) {
		job->revoked_by = STAPLE_REVOKED_BY_UNKNOWN;
		job->unconfirmable = true; /* a file has no second source */
	} else if (job->revoked_by == STAPLE_REVOKED_BY_NONE) {
		job->revoked_by = STAPLE_REVOKED_BY_VARIANT;
		job->revoked_variant = job->attempt.variant;
	} else if (!job->confirmed &&
		   !is_first_revoker(job, &job->attempt.variant)) {
		job->confirmed = true;
		job->unconfirmable = false;
		staple_report_line(job, STAPLE_LEVEL_ERROR, STAPLE_REVOKED,
		    "revocation confirmed by a second response: %s",
		    job->result.said.text);
	}
}

static void
note_status(struct staple_job *job, const struct staple_response *fresh)
{
	if (staple_response_is_revoked(fresh)) {
		note_revoked(job);
		return;
	}
	job->revoked_by = STAPLE_REVOKED_BY_NONE;
	job->confirmed = job->unconfirmable = false;
}

/* An unchanged response is normal until the last quarter of its window.  From
 * then on it counts as a failure for the expiry warnings. */
static void
note_stale(struct staple_job *job)
{
	int64_t now = job->worker->wall_s;
	struct staple_window window;

	if (job->result.outcome != STAPLE_UNCHANGED ||
	    !staple_job_window(job, &window) ||
	    now < staple_schedule_quarters(&window, 3))
		job->tries_since = 0;
	else if (job->tries_since == 0)
		job->tries_since = now;
}

/* Release the claim, unless publish() has passed it to the writer, and forget
 * the wait for another process. */
static void
end_claim(struct staple_job *job)
{
	staple_claim_release(job->claim);
	job->claim = NULL;
	job->yields_since_ms = 0;
	job->on_demand = false;
}

/* An attempt has ended. */
static void
take_result(struct staple_job *job, const struct staple_result *result)
{
	job->result = *result;
	job->fetches[result->outcome]++;
	if (result->outcome == STAPLE_GOOD ||
	    result->outcome == STAPLE_UNCHANGED)
		job->last_success = job->worker->wall_s;
}

void
staple_job_answered(struct staple_job *job, struct staple_response *response,
    const struct staple_result *result, int64_t freshness_s)
{
	publish(job, response);
	end_claim(job);
	staple_report_flaws(job, response);
	take_result(job, result);
	note_status(job, response);
	note_stale(job);
	job->failures = 0;
	job->settled = !is_in_doubt(job);
	staple_job_schedule_refresh(job, freshness_s);
	staple_report_attempt(job);
	if (is_in_doubt(job))
		staple_attempt_begin(job);
	staple_job_schedule_review(job);
}

static void
settle_failed(struct staple_job *job, const struct staple_result *result)
{
	take_result(job, result);
	job->settled = true;
	/* There was no second answer: staple_wait stops waiting for it. */
	if (job->revoked_by != STAPLE_REVOKED_BY_NONE && !job->confirmed)
		job->unconfirmable = true;
}

void
staple_job_failed(struct staple_job *job, const struct staple_result *result)
{
	end_claim(job);
	job->failures++;
	if (job->tries_since == 0)
		job->tries_since = job->worker->wall_s;
	settle_failed(job, result);
	staple_job_schedule_retry(job);
	staple_report_attempt(job);
	staple_job_schedule_review(job);
}

void
staple_job_blocked(struct staple_job *job, const struct staple_result *result)
{
	if (job->tries_since == 0)
		job->tries_since = job->worker->wall_s;
	if (job->failures == 0)
		job->failures = 1;
	if (job->settled) {
		job->result.said = result->said;
		staple_report_state(job);
	} else {
		settle_failed(job, result);
		staple_report_attempt(job);
	}
	staple_job_schedule_review(job);
}

/* ---- Review ---- */

static enum staple_outcome
find_unavailable_reason(const struct staple_job *job)
{
	if (job->worker->wall_s >= job->cert->not_after)
		return STAPLE_CERTIFICATE_EXPIRED;
	return job->cert->unavailable_reason;
}

/* No request can be made: end the attempt and the schedule, report it once. */
static void
stop_fetching(struct staple_job *job, enum staple_outcome unavailable_reason)
{
	if (job->settled && job->result.outcome == unavailable_reason)
		return;
	staple_attempt_cancel(job);
	job->due = 0;
	job->failures = 0;
	job->tries_since = 0;
	job->settled = true;
	job->result.outcome = unavailable_reason;
	err_set(&job->result.said, "%s",
	    unavailable_reason == job->cert->unavailable_reason
		? job->cert->hint
		: "");
	staple_report_attempt(job);
}

static void
fetch_if_due(struct staple_job *job)
{
	int64_t planned = job->due;

	if (job->attempt.busy)
		return;
	staple_job_correct_schedule(job);
	if (job->due != planned)
		staple_report_state(job);
	if (job->due <= job->worker->wall_s)
		staple_attempt_begin(job);
}

/* Without requests there are no failures to count: the expiry warnings begin if
 * there is no new file at the middle of the window. */
static void
review_file(struct staple_job *job)
{
	int64_t now = job->worker->wall_s;
	struct staple_window window;

	check_file(job);
	staple_job_set_due(job, now + STAPLE_FILE_CHECK_S);
	if (job->tries_since == 0 && staple_job_window(job, &window) &&
	    now >= staple_schedule_quarters(&window, 2))
		job->tries_since = staple_schedule_quarters(&window, 2);
}

void
staple_job_review(struct staple_job *job)
{
	enum staple_outcome unavailable_reason = find_unavailable_reason(job);

	if (job->requirement == STAPLE_REQUIRE_NONE) {
		staple_job_schedule_review(job);
		return;
	}
	if (unavailable_reason != STAPLE_UNASKED)
		stop_fetching(job, unavailable_reason);
	else if (job->cert->staple_file != NULL)
		review_file(job);
	else
		fetch_if_due(job);
	staple_report_time(job);
	staple_job_schedule_review(job);
}

void
staple_job_refresh(struct staple_job *job)
{
	if (job->due == 0) /* no fetch is scheduled */
		return;
	staple_job_set_due(job, job->worker->wall_s);
	job->on_demand = true;
	job->file_checked = false;
	staple_job_review(job);
}

/* ---- New facts ---- */

/* Is a response held that has not expired? */
static bool
has_valid_response(const struct staple_job *job)
{
	struct staple_window window;

	return staple_job_window(job, &window) &&
	       job->worker->wall_s < window.expires;
}

/* Log the ignored URLs once: no attempt lists them.  If no URL remains, the
 * hint is logged with the outcome. */
static void
report_ignored_urls(struct staple_job *job)
{
	if (job->reported_urls || job->cert->hint[0] == '\0' ||
	    job->cert->unavailable_reason != STAPLE_UNASKED ||
	    job->cert->staple_file != NULL)
		return;
	job->reported_urls = true;
	staple_report_line(job, STAPLE_LEVEL_WARNING, STAPLE_UNASKED,
	    "URL ignored: %s; the other URLs are used", job->cert->hint);
}

static void
start_over(struct staple_job *job)
{
	assert(job->cert->complete);
	/* Variants are numbered by URL, and the URLs may be others now. */
	job->worked_once = false;
	if (job->revoked_by == STAPLE_REVOKED_BY_VARIANT)
		job->revoked_by = STAPLE_REVOKED_BY_UNKNOWN;
	job->unconfirmable = false;
	job->settled = false;
	job->failures = 0;
	job->tries_since = 0;
	job->file_checked = false;
	if (job->cert->staple_file == NULL)
		staple_attempt_hold_hosts(job);
	report_ignored_urls(job);
	load_saved(job);
	staple_job_schedule_first(job);
}

/* ---- An issuer that is missing from the chain ---- */

/* Load an issuer from the store into worker->issuers, which owns it.  NULL:
 * none. */
static X509 *
load_issuer(struct staple_job *job, const struct staple_cert *cert,
    enum staple_origin *origin)
{
	struct staple_worker *worker = job->worker;
	struct err err;
	X509 *saved;

	if (worker->issuer_store == NULL)
		return NULL;
	saved = staple_issuer_load(worker->issuer_store, cert, &err);
	if (saved == NULL) {
		if (err.text[0] != '\0' && !worker->issuers.reported)
			staple_report_message(worker, STAPLE_LEVEL_WARNING,
			    "saved issuer of %s not used: %s; fetching it",
			    cert->name, err.text);
		worker->issuers.reported |= err.text[0] != '\0';
		return NULL;
	}
	staple_issuers_add(&worker->issuers, saved, STAPLE_ORIGIN_STORE);
	X509_free(saved);
	staple_report_message(worker, STAPLE_LEVEL_INFO,
	    "issuer of %s loaded from the store", cert->name);
	return staple_issuers_find(&worker->issuers, cert, origin);
}

X509 *
staple_job_known_issuer(struct staple_job *job, const struct staple_cert *cert,
    enum staple_origin *origin)
{
	X509 *issuer = staple_issuers_find(&job->worker->issuers, cert, origin);

	return issuer != NULL ? issuer : load_issuer(job, cert, origin);
}

/* Add a known issuer to facts without one, in the entry as well.  Takes the
 * reference and returns one. */
static struct staple_cert *
add_known_issuer(struct staple_job *job, struct staple_cert *cert)
{
	enum staple_origin origin;
	struct staple_cert *whole;
	struct err err;
	X509 *issuer;

	if (cert->issuer_url_count == 0)
		return cert;
	issuer = staple_job_known_issuer(job, cert, &origin);
	if (issuer == NULL)
		return cert;
	whole = staple_cert_with_issuer(cert, cert->leaf, issuer, origin, &err);
	if (whole == NULL) /* no memory: the next review tries again */
		return cert;
	staple_cache_replace_cert(job->entry, cert, whole);
	staple_cert_unref(cert);
	return whole;
}

void
staple_job_update(struct staple_job *job)
{
	enum staple_requirement requirement;
	struct staple_cert *cert = add_known_issuer(
	    job, staple_entry_facts(job->entry, &requirement));
	bool keeps_schedule = job->requirement != STAPLE_REQUIRE_NONE &&
			      requirement != STAPLE_REQUIRE_NONE &&
			      staple_cert_equals(job->cert, cert) &&
			      (cert == job->cert || has_valid_response(job));

	job->requirement = requirement;
	/* An attempt in flight borrows from its own facts, which are equal. */
	if (keeps_schedule) {
		staple_cert_unref(cert);
		staple_report_state(job);
		if (job->cert->staple_file != NULL)
			staple_job_review(job);
		return;
	}
	staple_attempt_cancel(job);
	staple_attempt_drop_hosts(job);
	staple_cert_unref(job->cert);
	job->cert = cert;
	job->due = 0;
	if (requirement != STAPLE_REQUIRE_NONE)
		start_over(job);
	staple_report_state(job);
	staple_job_review(job);
}
