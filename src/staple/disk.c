/*
 * Reading responses.  Staple thread only; it blocks for as long as a small
 * file takes.  Where a saved file is longer than the response made of it, the
 * shorter form is saved: an earlier version saved responses as they came.
 */
#include "staple/disk.h"

#include <stdlib.h>
#include <string.h>

#include "staple/cache.h"
#include "staple/errand.h"
#include "staple/judge.h"
#include "staple/plan.h"
#include "staple/report.h"
#include "staple/response.h"
#include "staple/settings.h"
#include "staple/store.h"
#include "staple/writer.h"

enum { JUDGE_AGAIN_S = 60 };

static const struct staple_options *
settings_of(const struct staple_errand *errand)
{
	return &errand->office->settings->values;
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
		.clock = { errand->office->wall_s,
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
	if (len != bytes->len && errand->office->writer != NULL)
		staple_writer_save(
		    errand->office->writer, errand->cert->id, saved);
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

	if (errand->office->store == NULL || errand->cert->issuer == NULL ||
	    staple_plan_window(errand, &window))
		return;
	if (!staple_store_read(errand->office->store, errand->cert->id,
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

/* ---- staple_file ---- */

/* Has it changed, or is it time to judge the same bytes again? */
static bool
is_news(struct staple_errand *errand)
{
	int64_t since = errand->office->wall_s - errand->looked_at;
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
	if (!staple_file_read(errand->cert->staple_file,
		settings_of(errand)->max_response, bytes, err))
		return false;
	if (bytes->data == NULL)
		err_set(err, "there is no such file");
	return bytes->data != NULL;
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
	errand->looked_at = errand->office->wall_s;
	if (!read_file(errand, &bytes, &err)) {
		err_set(&errand->said, "%s: %s", errand->cert->staple_file,
		    err.text);
		staple_errand_failed(errand, STAPLE_FILE_UNREADABLE);
		return;
	}
	judge_file(errand, &bytes);
	free(bytes.data);
}
