/*
 * One sentence of failure that gains context on the left as it climbs:
 * the lowest level writes what went wrong, each caller that knows more puts
 * its knowledge in front ("clinch.ini:12: listener web: cert site.pem: ...").
 * It is logged once, by whoever decides what to do about it.
 *
 * A plain value: put it on the stack, no life cycle.  Every function accepts
 * NULL for the err and then does nothing.  Any thread; not shared.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

#include "base/attr.h"

#define ERR_TEXT_MAX 1024

struct err {
	char text[ERR_TEXT_MAX]; /* always terminated; "" until set */
};

/* Replace the sentence.  Longer text is cut. */
void err_set(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* As err_set, and appends ": " and strerror(errnum). */
void err_set_errno(struct err *err, int errnum, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Put "<formatted>: " in front of the sentence; the right end is cut. */
void err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Does the sentence speak of this file?  NULL is no file. */
bool err_names(const struct err *err, const char *path);

#endif
