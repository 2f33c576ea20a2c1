/*
 * What is said about a certificate.  Staple thread only.  A decider: what has
 * happened comes in, a line or silence comes out.  While something valid is
 * served nothing is an error, however often asking anew fails: an error means
 * that somebody must act now.  The exceptions are those of the matrix: revoked,
 * and unknown where failing is fatal.
 */
#include "staple/voice.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "staple/outcome.h"
#include "staple/time_text.h"

enum {
	SILENCE_S = 3600,
	SAID_MAX = 560 /* of many URLs: leaves room for the other clauses */
};

static void add(struct staple_voice *voice, const char *format, ...)
    PRINTF_LIKE(2, 3);

static void
add(struct staple_voice *voice, const char *format, ...)
{
	size_t len = strlen(voice->text);
	va_list args;

	va_start(args, format);
	vsnprintf(voice->text + len, sizeof(voice->text) - len, format, args);
	va_end(args);
}

/* To those who are told, the same good answer is as good as a new one. */
static enum staple_outcome
kind_of(enum staple_outcome outcome)
{
	return outcome == STAPLE_UNCHANGED ? STAPLE_GOOD : outcome;
}

static bool
is_expired(const struct staple_news *news)
{
	return !news->held && news->expires != 0;
}

static enum staple_level
level_of(const struct staple_news *news)
{
	bool matters = news->fatal || news->must_staple;

	switch (news->outcome) {
	case STAPLE_GOOD:
	case STAPLE_UNCHANGED:
		return STAPLE_LEVEL_NOTICE;
	case STAPLE_NO_RESPONDER:
	case STAPLE_CERTIFICATE_EXPIRED:
		return matters ? STAPLE_LEVEL_WARNING : STAPLE_LEVEL_INFO;
	case STAPLE_NO_ISSUER:
		/* Where it can be fetched, that failed like any attempt. */
		if (news->next_try == 0)
			return STAPLE_LEVEL_WARNING;
		break;
	case STAPLE_REVOKED:
		return STAPLE_LEVEL_ERROR;
	case STAPLE_UNKNOWN:
		if (news->fatal)
			return STAPLE_LEVEL_ERROR;
		break;
	default:
		break;
	}
	if (!news->held && (news->fatal || is_expired(news)))
		return STAPLE_LEVEL_ERROR;
	return STAPLE_LEVEL_WARNING;
}

/* ---- clauses ---- */

static void
add_reason(struct staple_voice *voice, const struct staple_news *news)
{
	add(voice, "%s", staple_outcome_sentence(news->outcome));
	if (*news->said != '\0')
		add(voice, " (%.*s)", SAID_MAX, news->said);
}

static void
add_served(struct staple_voice *voice, const struct staple_news *news)
{
	const char *which = news->revoked ? "the revoked response"
					  : "the response";

	if (news->held)
		add(voice, "; %s held is valid until %s, for %s", which,
		    staple_time_date(news->expires).text,
		    staple_time_span(news->expires - news->now).text);
	else if (is_expired(news))
		add(voice, "; %s held expired at %s and is not stapled", which,
		    staple_time_date(news->expires).text);
	else
		add(voice, "; nothing is stapled");
}

static void
add_next(struct staple_voice *voice, const struct staple_news *news)
{
	if (news->next_try > news->now)
		add(voice, "; asked again in %s",
		    staple_time_span(news->next_try - news->now).text);
}

static void
add_advice(struct staple_voice *voice, const struct staple_news *news)
{
	const char *advice = staple_outcome_advice(news->outcome);

	if (*advice != '\0')
		add(voice, "; %s", advice);
}

/* ---- lines ---- */

static void
tell_good(struct staple_voice *voice)
{
	if (!voice->spoke)
		add(voice, "the certificate is good");
	else if (voice->last == STAPLE_REVOKED)
		add(voice, "the certificate is good and not revoked any more");
	else
		add(voice, "the certificate is good again");
}

static void
tell_trouble(struct staple_voice *voice, const struct staple_news *news)
{
	if (voice->repeated != 0)
		add(voice, "%u times more since %s: ", voice->repeated,
		    staple_time_date(voice->said_at).text);
	add_reason(voice, news);
}

/* Not within the hour, unless the clock was set back meanwhile. */
static bool
is_too_soon(const struct staple_voice *voice, const struct staple_news *news)
{
	return news->now >= voice->said_at &&
	       news->now - voice->said_at < SILENCE_S;
}

static void
fill(struct staple_event *event, enum staple_level level,
    const struct staple_voice *voice, const struct staple_news *news)
{
	*event = (struct staple_event){ .level = level,
		.certificate = news->name,
		.id = news->id,
		.outcome = news->outcome,
		.message = voice->text };
}

bool
staple_voice_attempt(struct staple_voice *voice, const struct staple_news *news,
    struct staple_event *event)
{
	bool is_good = kind_of(news->outcome) == STAPLE_GOOD;
	bool is_same = voice->spoke && voice->last == kind_of(news->outcome);

	if (is_same && is_good)
		return false;
	voice->repeated = is_same ? voice->repeated + 1 : 0;
	if (is_same && is_too_soon(voice, news))
		return false;
	voice->text[0] = '\0';
	if (is_good)
		tell_good(voice);
	else
		tell_trouble(voice, news);
	add_served(voice, news);
	add_next(voice, news);
	add_advice(voice, news);
	fill(event, level_of(news), voice, news);
	voice->spoke = true;
	voice->last = kind_of(news->outcome);
	voice->said_at = news->now;
	voice->repeated = 0;
	return true;
}

bool
staple_voice_ladder(struct staple_voice *voice, const struct staple_news *news,
    struct staple_event *event)
{
	enum staple_rung rung = staple_schedule_rung(
	    news->tries_since, news->expires, news->now);

	if (voice->rung_of != news->expires)
		voice->rung = STAPLE_RUNG_NONE;
	voice->rung_of = news->expires;
	if (rung <= voice->rung)
		return false;
	voice->rung = rung;
	voice->text[0] = '\0';
	add(voice, "no new response could be had since %s",
	    staple_time_date(news->tries_since).text);
	if (staple_outcome_is_failure(news->outcome)) {
		add(voice, ": ");
		add_reason(voice, news);
	}
	add_served(voice, news);
	add_next(voice, news);
	add_advice(voice, news);
	fill(event,
	    rung == STAPLE_RUNG_EXPIRED ? STAPLE_LEVEL_ERROR
					: STAPLE_LEVEL_WARNING,
	    voice, news);
	return true;
}
