/*
 * What is said about one certificate, and when: a line when its outcome
 * changes, then at most one an hour that counts; the ladder of warnings while a
 * held response runs out, each rung once for each expiry.  A decider: it fills
 * in the event, the caller hands it to the log callback.  A plain value, zero
 * at birth; staple thread only; time is given.
 *
 *   notice   good, for the first time or again (the same good answer, and a
 *            newer one after it, are passed over in silence)
 *   info     nobody to ask, or past notAfter, where it matters to nobody
 *   warning  the same where it does; an attempt that failed
 *   error    an attempt that failed while what was held has expired, or with
 *            nothing held where that is fatal; unknown where that is fatal;
 *            revoked; the last rung of the ladder
 */
#ifndef STAPLE_VOICE_H
#define STAPLE_VOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "staple/schedule.h"
#include "staple/staple.h"

#define STAPLE_VOICE_TEXT_MAX 1024

struct staple_voice {
	enum staple_outcome last; /* the outcome that was last said */
	bool spoke;
	int64_t said_at;                  /* wall seconds */
	unsigned repeated;                /* since then, in silence */
	enum staple_rung rung;            /* the highest that was said */
	int64_t rung_of;                  /* the expiry that it belongs to */
	char text[STAPLE_VOICE_TEXT_MAX]; /* behind the last event */
};

/* What has just happened to a certificate. */
struct staple_news {
	const char *name;
	const char *id;
	enum staple_outcome outcome;
	const char *said;    /* each URL and what came of it; "" none */
	bool fatal;          /* by policy failing is fatal: must or always */
	bool must_staple;    /* the certificate carries the extension */
	bool held;           /* something valid is held now */
	bool revoked;        /* ...and says so */
	int64_t expires;     /* of what is held, or was; 0: nothing ever was */
	int64_t tries_since; /* first failure after the last answer; 0 */
	int64_t next_try;
	int64_t now;
};

/* true: *event is to be logged (its strings live in voice or in news). */
bool staple_voice_attempt(struct staple_voice *voice,
    const struct staple_news *news, struct staple_event *event);

/* The same for the ladder, asked at every wake while failing. */
bool staple_voice_ladder(struct staple_voice *voice,
    const struct staple_news *news, struct staple_event *event);

#endif
