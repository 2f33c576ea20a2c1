/*
 * Names and URLs come from strangers and end in logs and terminals.  They are
 * escaped where they are taken in, once, so that everybody else may print what
 * is stored.  Any thread.  Characters of several bytes are escaped too: which
 * encoding a terminal has is not known here.
 */
#include "staple/text.h"

#include <stdbool.h>
#include <stdio.h>

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
