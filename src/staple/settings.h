/*
 * struct staple_options with its strings owned and its zeros made defaults.
 * Immutable after birth, counted, so that the staple thread can take over new
 * ones between two turns.  Any thread.
 */
#ifndef STAPLE_SETTINGS_H
#define STAPLE_SETTINGS_H

#include <stdatomic.h>

#include "base/attr.h"
#include "staple/staple.h"

struct staple_fetcher;

struct staple_settings {
	atomic_uint references;
	struct staple_options values; /* no zero left; strings owned */
};

struct staple_settings *staple_settings_new(
    const struct staple_options *options) MUST_CHECK;
struct staple_settings *staple_settings_ref(struct staple_settings *settings);
void staple_settings_unref(struct staple_settings *settings); /* NULL ok */

/* Let the fetcher go by these settings, which must outlive it or be replaced.
 * The thread of the fetcher. */
void staple_settings_apply(
    const struct staple_settings *settings, struct staple_fetcher *fetcher);

#endif
