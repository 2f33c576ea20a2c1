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

const char *
overview_backend_state_name(enum overview_backend_state state)
{
	static const char *const names[] = {
		[BACKEND_STATE_UNRESOLVED] = "unresolved",
		[BACKEND_STATE_UP] = "up",
		[BACKEND_STATE_RESTING] = "resting",
		[BACKEND_STATE_DOWN] = "down",
	};

	return names[state];
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

/* The number of continuation bytes after this first one; -1: none can begin
 * with it.  *least: the smallest code point of that length. */
static int
continuation_bytes(unsigned char first, uint32_t *code, uint32_t *least)
{
	static const struct {
		unsigned char mask, bits;
		uint32_t least;
	} rows[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

	for (int i = 0; i < 4; i++) {
		if ((first & rows[i].mask) != rows[i].bits)
			continue;
		*code = first & (unsigned char)~rows[i].mask;
		*least = rows[i].least;
		return i;
	}
	return -1;
}

bool
overview_is_utf8(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	uint32_t code, least;
	int rest;

	while (*at != '\0') {
		rest = continuation_bytes(*at++, &code, &least);
		if (rest < 0)
			return false;
		for (; rest > 0; rest--, at++) {
			if ((*at & 0xc0) != 0x80)
				return false;
			code = code << 6 | (*at & 0x3f);
		}
		if (code < least || code > 0x10ffff ||
		    (code >= 0xd800 && code <= 0xdfff))
			return false;
	}
	return true;
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
