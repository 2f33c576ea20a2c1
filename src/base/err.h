/*
 * The text of an error, which gains context on the left as it is returned: the
 * lowest level writes the cause, each caller with more context puts it in front
 * ("clinch.ini:12: listener web: cert site.pem: ...").  The level that handles
 * the error logs it, once.
 *
 * A plain value on the stack, without a life cycle.  Every function accepts
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

/* Replace the text.  Longer text is cut.  Returns false, so that a function may
 * end with `return err_set(...)`. */
bool err_set(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* As err_set, and appends ": " and strerror(errnum). */
bool err_set_errno(struct err *err, int errnum, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Set "not enough memory" and return false. */
bool err_no_memory(struct err *err);

/* Put "<formatted>: " in front of the text; the right end is cut. */
void err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Does the text contain this path as a whole?  NULL: false. */
bool err_names(const struct err *err, const char *path);

#endif
