/*
 * Counting similar log lines.  The thread of the owner.  A table with linear
 * search: it is short, and searched only when a line is about to be written.
 */
#include "base/rate_limit.h"

#include <stdio.h>
#include <string.h>

/* The shared entry of the pairs beyond the limit. */
#define OTHERS "-"

static bool
matches(const struct rate_limit_entry *entry, const char *listener,
    const char *reason)
{
	return strcmp(entry->reason, reason) == 0 &&
	       strncmp(entry->listener, listener, RATE_LIMIT_NAME_MAX - 1) == 0;
}

static struct rate_limit_entry *
find(struct rate_limit *limit, const char *listener, const char *reason)
{
	for (size_t i = 0; i < limit->count; i++) {
		if (matches(&limit->entries[i], listener, reason))
			return &limit->entries[i];
	}
	return NULL;
}

/* Remove entries whose window is over and that have nothing to report. */
static void
drop_ended(struct rate_limit *limit, int64_t now_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < limit->count; i++) {
		struct rate_limit_entry *entry = &limit->entries[i];

		if (entry->suppressed > 0 || entry->ends_ms > now_ms)
			limit->entries[kept++] = *entry;
	}
	limit->count = kept;
}

static struct rate_limit_entry *
find_or_add(struct rate_limit *limit, const char *listener, const char *reason,
    int64_t now_ms)
{
	struct rate_limit_entry *entry = find(limit, listener, reason);

	if (entry != NULL)
		return entry;
	if (limit->count >= RATE_LIMIT_ENTRIES - 1)
		drop_ended(limit, now_ms);
	if (limit->count >= RATE_LIMIT_ENTRIES - 1) {
		listener = reason = OTHERS;
		entry = find(limit, listener, reason);
		if (entry != NULL)
			return entry;
	}
	entry = &limit->entries[limit->count++];
	*entry = (struct rate_limit_entry){ .reason = reason };
	snprintf(entry->listener, sizeof(entry->listener), "%s", listener);
	return entry;
}

bool
rate_limit_may(struct rate_limit *limit, const struct rate_limit_rule *rule,
    enum log_level level, const char *listener, const char *reason,
    int64_t now_ms)
{
	struct rate_limit_entry *entry;

	entry = find_or_add(limit, listener, reason, now_ms);
	if (now_ms >= entry->ends_ms) {
		entry->ends_ms = now_ms + rule->window_ms;
		entry->lines = 0;
	}
	if (entry->lines < rule->lines) {
		entry->lines++;
		return true;
	}
	if (entry->suppressed++ == 0)
		entry->report_ms = entry->ends_ms;
	entry->level = level;
	return false;
}

bool
rate_limit_report(struct rate_limit *limit, struct log *log, int64_t now_ms)
{
	bool left = false;

	for (size_t i = 0; i < limit->count; i++) {
		struct rate_limit_entry *entry = &limit->entries[i];

		if (entry->suppressed == 0)
			continue;
		if (entry->report_ms > now_ms) {
			left = true;
			continue;
		}
		LOG_AT(log, entry->level, "conn", "similar lines suppressed",
		    LOG_S("listener", entry->listener),
		    LOG_S("reason", entry->reason),
		    LOG_N("lines", entry->suppressed));
		entry->suppressed = 0;
	}
	drop_ended(limit, now_ms);
	return left;
}
