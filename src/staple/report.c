/*
 * Telling others.  Staple thread only.  The application is called when one of
 * the facts that decide differs from what it was last told; they are packed
 * into one number, so that "differs" is one comparison and nothing can be
 * forgotten in it.
 */
#include "staple/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "staple/ask.h"
#include "staple/cache.h"
#include "staple/errand.h"
#include "staple/response.h"

static void
hand_over(struct staple_worker *worker, const struct staple_event *event)
{
	if (worker->log != NULL)
		worker->log(worker->arg, event);
}

void
staple_report_line(struct staple_errand *errand, enum staple_level level,
    enum staple_outcome outcome, const char *format, ...)
{
	char text[STAPLE_VOICE_TEXT_MAX];
	const struct staple_event event = { level, errand->cert->name,
		errand->cert->id, outcome, text };
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	hand_over(errand->worker, &event);
}

void
staple_report_trouble(struct staple_worker *worker, enum staple_level level,
    const char *format, ...)
{
	char text[STAPLE_VOICE_TEXT_MAX];
	const struct staple_event event = { .level = level, .message = text };
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	hand_over(worker, &event);
}

void
staple_report_try(struct staple_errand *errand,
    const struct staple_verdict *verdict, unsigned took_ms)
{
	const struct staple_try *tried = &errand->ask.trying;
	const char *url = errand->cert->urls[tried->url];
	const char *get = tried->get ? " by GET" : "";
	const char *hash = tried->hash == STAPLE_SHA256 ? " with SHA-256" : "";

	if (errand->ask.asked_before)
		err_set(&errand->said, "%s; %s%s%s: %s", errand->said.text, url,
		    get, hash, verdict->said.text);
	else
		err_set(&errand->said, "%s%s%s: %s", url, get, hash,
		    verdict->said.text);
	errand->ask.asked_before = true;
	staple_report_line(errand, STAPLE_LEVEL_DEBUG, verdict->outcome,
	    "%s%s%s: %s (%u ms)", url, get, hash, verdict->said.text, took_ms);
}

enum { FLAW_WEAK = 1, FLAW_NOT_FIRST = 2 };

/* Is this flaw to be reported now? */
static bool
is_new(struct staple_errand *errand, unsigned flaw)
{
	bool is_told = (errand->told_flaws & flaw) != 0;

	errand->told_flaws |= flaw;
	return !is_told;
}

void
staple_report_flaws(
    struct staple_errand *errand, const struct staple_response *response)
{
	int bits = staple_response_weak_bits(response);

	if (bits != 0 && is_new(errand, FLAW_WEAK))
		staple_report_line(errand, STAPLE_LEVEL_WARNING, STAPLE_UNASKED,
		    "the response is signed with an RSA key of %d bits by "
		    "\"%s\"; clients that demand 2048 refuse it; tell the CA",
		    bits, staple_response_signer(response));
	if (staple_response_leads(response) || !is_new(errand, FLAW_NOT_FIRST))
		return;
	staple_report_line(errand, STAPLE_LEVEL_WARNING, STAPLE_UNASKED,
	    "the first entry of the response is about another certificate; "
	    "clients with GnuTLS refuse it; it is %s; tell the CA",
	    errand->cert->must_staple || errand->wish == STAPLE_WISH_FATAL
		? "stapled nevertheless, as a staple is demanded"
		: "held and not stapled");
}

void
staple_report_issuer(struct staple_errand *errand,
    const struct staple_verdict *verdict, unsigned took_ms)
{
	const char *url = errand->cert->issuer_urls[errand->ask.issuer_url];

	if (errand->ask.asked_before)
		err_set(&errand->said, "%s; issuer %s: %s", errand->said.text,
		    url, verdict->said.text);
	else
		err_set(
		    &errand->said, "issuer %s: %s", url, verdict->said.text);
	errand->ask.asked_before = true;
	if (verdict->outcome == STAPLE_GOOD)
		staple_report_line(errand, STAPLE_LEVEL_INFO, STAPLE_UNASKED,
		    "issuer fetched from %s (%u ms)", url, took_ms);
	else
		staple_report_line(errand, STAPLE_LEVEL_DEBUG, verdict->outcome,
		    "issuer not fetched from %s: %s (%u ms)", url,
		    verdict->said.text, took_ms);
}

/* A file is looked at all the time, and that is no try. */
static int64_t
next_try(const struct staple_errand *errand)
{
	if (errand->ask.blocked)
		return staple_ask_probe_time(errand);
	return errand->cert->staple_file != NULL ? 0 : errand->due;
}

static void
tell_cache(const struct staple_errand *errand)
{
	struct staple_progress progress = {
		.settled = errand->settled,
		.confirmed = errand->confirmed,
		.unconfirmable = errand->unconfirmable,
		.outcome = errand->outcome,
		.failures = errand->failures,
		.next_try = next_try(errand),
	};

	snprintf(progress.said, sizeof(progress.said), "%.*s",
	    (int)sizeof(progress.said) - 1, errand->said.text);
	staple_cache_tell(errand->entry, &progress);
}

static uint32_t
pack(const struct staple_info *info, int64_t now)
{
	const bool facts[] = { info->wanted, info->settled, info->held,
		info->held && info->this_update <= now + STAPLE_SKEW_S &&
		    now < info->expires,
		info->revoked, info->confirmed, info->unconfirmable };
	uint32_t packed = 1; /* unlike the 0 of one who was told nothing */

	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		packed = packed << 1 | facts[i];
	packed = packed << 8 | ((uint32_t)info->outcome & 0xff);
	return packed << 8 | ((uint32_t)info->hindrance & 0xff);
}

static void
tell_application(struct staple_errand *errand)
{
	struct staple_worker *worker = errand->worker;
	struct staple_info info;
	uint32_t packed;

	staple_cache_read(errand->entry, worker->wall_s, &info);
	packed = pack(&info, worker->wall_s);
	if (packed == errand->told)
		return;
	errand->told = packed;
	if (worker->on_change != NULL)
		worker->on_change(worker->arg, &info);
}

static struct staple_news
gather(const struct staple_errand *errand)
{
	struct staple_response *held = staple_cache_held(errand->entry);
	struct staple_news news = {
		.name = errand->cert->name,
		.id = errand->cert->id,
		.outcome = errand->outcome,
		.said = errand->said.text,
		.fatal = errand->wish == STAPLE_WISH_FATAL,
		.must_staple = errand->cert->must_staple,
		.tries_since = errand->tries_since,
		.next_try = next_try(errand),
		.now = errand->worker->wall_s,
	};

	if (held != NULL) {
		if (!staple_response_is_ahead(held, news.now))
			news.expires = staple_response_expires(held);
		news.held = staple_response_is_current(held, news.now);
		news.revoked = staple_response_is_revoked(held);
	}
	staple_response_unref(held);
	return news;
}

void
staple_report_state(struct staple_errand *errand)
{
	tell_cache(errand);
	tell_application(errand);
}

void
staple_report_attempt(struct staple_errand *errand)
{
	struct staple_news news = gather(errand);
	struct staple_event event;

	tell_cache(errand);
	if (staple_voice_attempt(&errand->voice, &news, &event))
		hand_over(errand->worker, &event);
	tell_application(errand);
}

void
staple_report_time(struct staple_errand *errand)
{
	struct staple_news news = gather(errand);
	struct staple_event event;

	if (news.tries_since != 0 && news.expires != 0 &&
	    staple_voice_ladder(&errand->voice, &news, &event))
		hand_over(errand->worker, &event);
	tell_application(errand);
}
