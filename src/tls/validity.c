/*
 * Warning levels of a validity period.  Any thread.  The levels are fractions
 * of the period, not days: a certificate of 6 days is renewed with 2 days
 * left, and one of a year with 30.
 */
#include "tls/validity.h"

enum { LONGEST_S = 90 * 86400 };

enum validity_warning
validity_warning(int64_t from_s, int64_t end_s, int64_t now_s)
{
	static const int64_t parts[] = {
		[VALIDITY_THIRD] = 3,
		[VALIDITY_SIXTH] = 6,
		[VALIDITY_THIRTIETH] = 30,
	};
	int64_t period = LONGEST_S;
	int level;

	if (end_s <= now_s)
		return VALIDITY_ENDED;
	if (from_s > end_s - LONGEST_S)
		period = end_s > from_s ? end_s - from_s : 0;
	for (level = VALIDITY_THIRTIETH; level > VALIDITY_FINE; level--)
		if (end_s - now_s <= period / parts[level])
			break;
	return (enum validity_warning)level;
}
