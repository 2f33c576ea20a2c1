/*
 * The memory of an overview, and words for its enums.  The thread that owns it;
 * the words are pure.
 */
#include "admin/overview.h"

#include <stdlib.h>
#include <string.h>

const char *
overview_state_name(enum overview_state state)
{
	static const char *const names[] = {
		[STATE_STARTING] = "starting",
		[STATE_SERVING] = "serving",
		[STATE_DRAINING] = "draining",
	};

	return names[state];
}

const char *
overview_severity_name(enum overview_severity severity)
{
	static const char *const names[] = {
		[SEVERITY_GOOD] = "good",
		[SEVERITY_NOTICE] = "notice",
		[SEVERITY_WARNING] = "warning",
		[SEVERITY_CRITICAL] = "critical",
	};

	return names[severity];
}

/* A response is stapled from five minutes before thisUpdate (staple.h). */
#define EARLY_S 300

const char *
overview_staple_state(const struct staple_info *staple, int64_t now_s)
{
	if (!staple->held)
		return NULL;
	if (staple->revoked)
		return "revoked";
	if (staple->expires != 0 && now_s >= staple->expires)
		return "expired";
	return now_s + EARLY_S < staple->this_update ? "future" : "good";
}

size_t
overview_next_certificate(const struct overview *overview, size_t i)
{
	const struct overview_certificate *items = overview->certificates;
	size_t next = i + 1;

	while (next < overview->certificate_count &&
	       strcmp(items[next].staple.id, items[i].staple.id) == 0)
		next++;
	return next;
}

void
overview_free(struct overview *overview)
{
	size_t i;

	if (overview == NULL)
		return;
	for (i = 0; i < overview->listener_count; i++) {
		free(overview->listeners[i].addresses);
		free(overview->listeners[i].backends);
	}
	free(overview->listeners);
	free(overview->certificates);
	free(overview->crls);
	free(overview->reasons);
	if (overview->release)
		overview->release(overview->owner);
	free(overview);
}
