/*
 * Strangers' bytes as text that is safe to print.  Pure; any thread.
 */
#ifndef STAPLE_TEXT_H
#define STAPLE_TEXT_H

#include <stddef.h>

/* Printable ASCII as it is, the backslash and all else as "\x1b".  Always
 * terminated; what does not fit is cut, never inside an escape. */
void staple_text_escape(char *out, size_t max, const char *text, size_t len);

/* Lower-case hex, two digits a byte, terminated; cut likewise. */
void staple_text_hex(
    char *out, size_t max, const unsigned char *bytes, size_t len);

#endif
