/*
 * Times of certificates and OCSP as 64-bit seconds, and text that is safe to
 * print.  Pure; any thread.  Seconds are 64-bit everywhere, since a response
 * may be valid until 9999.  Names and URLs are escaped once, where they are
 * read, so every other file may print what is stored.  Bytes above ASCII are
 * escaped too: the encoding of the terminal is not known.
 */
#include "staple/time_text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

enum { EXACT_LEN = sizeof("YYYYMMDDHHMMSSZ") - 1 };

bool
staple_time_read(const ASN1_TIME *time, int64_t *seconds)
{
	struct tm tm;

	/* For NULL OpenSSL would return the current time. */
	if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1)
		return false;
	*seconds = timegm(&tm);
	return true;
}

bool
staple_time_read_exact(const ASN1_GENERALIZEDTIME *time, int64_t *seconds)
{
	const unsigned char *text;

	if (time == NULL || ASN1_STRING_length(time) != EXACT_LEN)
		return false;
	text = ASN1_STRING_get0_data(time);
	for (int i = 0; i < EXACT_LEN - 1; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return text[EXACT_LEN - 1] == 'Z' && staple_time_read(time, seconds);
}

struct staple_time_text
staple_time_date(int64_t seconds)
{
	struct staple_time_text text;
	time_t time = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&time, &tm) == NULL ||
	    strftime(text.text, sizeof(text.text), "%Y-%m-%d %H:%M:%S UTC",
		&tm) == 0)
		return (struct staple_time_text){ "?" };
	return text;
}

struct staple_time_text
staple_time_span(int64_t seconds)
{
	uint64_t s = seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds;
	struct staple_time_text text;
	uint64_t m = s / 60, h = m / 60, days = h / 24;

	if (days > 0)
		snprintf(text.text, sizeof(text.text),
		    "%" PRIu64 " day%s %" PRIu64 " h", days,
		    days == 1 ? "" : "s", h % 24);
	else if (h > 0)
		snprintf(text.text, sizeof(text.text),
		    "%" PRIu64 " h %" PRIu64 " min", h, m % 60);
	else if (m > 0)
		snprintf(text.text, sizeof(text.text),
		    "%" PRIu64 " min %" PRIu64 " s", m, s % 60);
	else
		snprintf(text.text, sizeof(text.text), "%" PRIu64 " s", s);
	return text;
}

/* ---- Text ---- */

void
staple_text_escape(char *out, size_t max, const char *text, size_t len)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)text[i];
		bool plain = byte >= ' ' && byte < 0x7f && byte != '\\';
		size_t size = plain ? 1 : sizeof("\\x00") - 1;

		if (used + size >= max)
			break;
		if (plain)
			out[used] = (char)byte;
		else
			snprintf(out + used, max - used, "\\x%02x", byte);
		used += size;
	}
	out[used] = '\0';
}

void
staple_text_hex(char *out, size_t max, const unsigned char *bytes, size_t len)
{
	out[0] = '\0';
	for (size_t i = 0; i < len && 2 * i + 2 < max; i++)
		snprintf(out + 2 * i, max - 2 * i, "%02x", bytes[i]);
}
