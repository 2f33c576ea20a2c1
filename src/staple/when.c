/*
 * Times between OpenSSL's encoding, seconds and sentences.  Any thread.
 * Everything is 64-bit seconds from here on: a response that is valid until
 * 9999 must not wrap around.
 */
#include "staple/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { EXACT_LEN = sizeof("YYYYMMDDHHMMSSZ") - 1 };

bool
staple_when_read(const ASN1_TIME *time, int64_t *seconds)
{
	struct tm tm;

	/* For NULL OpenSSL would say what time it is now. */
	if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1)
		return false;
	*seconds = timegm(&tm);
	return true;
}

bool
staple_when_read_exact(const ASN1_GENERALIZEDTIME *time, int64_t *seconds)
{
	const unsigned char *text;

	if (time == NULL || ASN1_STRING_length(time) != EXACT_LEN)
		return false;
	text = ASN1_STRING_get0_data(time);
	for (int i = 0; i < EXACT_LEN - 1; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return text[EXACT_LEN - 1] == 'Z' && staple_when_read(time, seconds);
}

struct staple_when
staple_when_date(int64_t seconds)
{
	struct staple_when when;
	time_t time = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&time, &tm) == NULL ||
	    strftime(when.text, sizeof(when.text), "%Y-%m-%d %H:%M:%S UTC",
		&tm) == 0)
		return (struct staple_when){ "?" };
	return when;
}

struct staple_when
staple_when_span(int64_t seconds)
{
	uint64_t s = seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds;
	struct staple_when when;
	uint64_t m = s / 60, h = m / 60, days = h / 24;

	if (days > 0)
		snprintf(when.text, sizeof(when.text),
		    "%" PRIu64 " day%s %" PRIu64 " h", days,
		    days == 1 ? "" : "s", h % 24);
	else if (h > 0)
		snprintf(when.text, sizeof(when.text),
		    "%" PRIu64 " h %" PRIu64 " min", h, m % 60);
	else if (m > 0)
		snprintf(when.text, sizeof(when.text),
		    "%" PRIu64 " min %" PRIu64 " s", m, s % 60);
	else
		snprintf(when.text, sizeof(when.text), "%" PRIu64 " s", s);
	return when;
}
