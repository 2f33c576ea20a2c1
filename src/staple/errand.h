/*
 * What the staple thread keeps about one certificate: its attempt in flight,
 * its schedule, what it said.  Staple thread only.
 */
#ifndef STAPLE_ERRAND_H
#define STAPLE_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/list.h"
#include "staple/attempt.h"
#include "staple/store.h"
#include "staple/voice.h"

struct staple_cert;
struct staple_entry;
struct staple_fetch;
struct staple_slot;

/* Why an attempt is made. */
enum staple_purpose { STAPLE_REFRESHING, STAPLE_CONFIRMING };

struct staple_errand {
	struct list node;           /* of all errands */
	struct staple_entry *entry; /* owned reference */
	struct staple_cert *cert;   /* owned reference */
	enum staple_wish wish;

	/* the schedule, wall seconds; 0: nothing to do */
	int64_t due;
	unsigned failures;
	int64_t tries_since; /* first failure after the last answer */
	int64_t retry_after_s;
	int64_t freshness_ends;

	/* the attempt in flight */
	bool busy;
	enum staple_purpose purpose;
	struct staple_attempt attempt;
	struct staple_try trying;
	int64_t deadline_ms; /* monotonic; 0: no transfer has begun */
	struct staple_fetch *fetch;
	struct staple_slot *slot;
	struct err said; /* URL by URL */

	/* what is remembered */
	bool worked_once;
	struct staple_try worked;
	bool settled, confirmed, unconfirmable;
	enum staple_outcome outcome;
	struct staple_stamp stamp; /* of staple_file */
	struct staple_voice voice;
};

#endif
