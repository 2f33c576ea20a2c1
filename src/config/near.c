/*
 * Names as people type them.  Distance counts a swap of neighbours as one
 * slip, because that is the commonest one (`acecpt`); how many slips still
 * count as near grows with the length, or every short key would be near
 * every other.
 */
#include "config/near.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#define NAME_MAX_LENGTH 48 /* longer than any known name by far */

static const char *
skip_dashes(const char *text)
{
	return text + strspn(text, "-_");
}

bool
near_same(const char *a, const char *b)
{
	for (;; a++, b++) {
		a = skip_dashes(a);
		b = skip_dashes(b);
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (*a == '\0')
			return true;
	}
}

bool
near_in(const char *list, const char *word)
{
	char one[NAME_MAX_LENGTH + 1];
	size_t length;

	for (; list != NULL && *list != '\0'; list += length) {
		list += strspn(list, " ");
		length = strcspn(list, " ");
		if (length == 0 || length > NAME_MAX_LENGTH)
			continue;
		memcpy(one, list, length);
		one[length] = '\0';
		if (near_same(one, word))
			return true;
	}
	return false;
}

/* Lower case, no dashes; the length, or 0 when it is too long to be near. */
static size_t
plain(char out[NAME_MAX_LENGTH], const char *text)
{
	size_t length = 0;

	for (text = skip_dashes(text); *text != '\0';
	     text = skip_dashes(text + 1)) {
		if (length == NAME_MAX_LENGTH)
			return 0;
		out[length++] = (char)tolower((unsigned char)*text);
	}
	return length;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The edit distance with swaps, over three rows of the usual table. */
static size_t
distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	uint8_t rows[3][NAME_MAX_LENGTH + 1];
	uint8_t *before = rows[0], *above = rows[1], *row = rows[2], *spare;

	for (size_t j = 0; j <= b_length; j++)
		before[j] = above[j] = (uint8_t)j;
	for (size_t i = 1; i <= a_length; i++) {
		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t cost = a[i - 1] != b[j - 1];
			size_t best = least(above[j], row[j - 1]) + 1u;

			best = least(best, above[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				best = least(best, before[j - 2] + 1u);
			row[j] = (uint8_t)best;
		}
		spare = before;
		before = above;
		above = row;
		row = spare;
	}
	return above[b_length];
}

void
near_start(struct near *near, const char *given)
{
	*near = (struct near){ .given = given, .distance = SIZE_MAX };
}

void
near_offer(struct near *near, const char *candidate)
{
	char a[NAME_MAX_LENGTH], b[NAME_MAX_LENGTH];
	size_t a_length = plain(a, near->given);
	size_t b_length = plain(b, candidate);
	size_t slips;

	if (a_length == 0 || b_length == 0)
		return;
	slips = distance(a, a_length, b, b_length);
	if (slips > least(a_length, b_length) / 5 + 1)
		return;
	if (slips >= least(a_length, b_length) || slips >= near->distance)
		return;
	near->distance = slips;
	near->best = candidate;
}
