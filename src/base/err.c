/*
 * Error texts.  Any thread.  The new text is formatted aside first, so that an
 * argument may point into the text that is replaced.
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool
err_set(struct err *err, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;

	if (err == NULL)
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	memcpy(err->text, text, sizeof(text));
	return false;
}

bool
err_set_errno(struct err *err, int errnum, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	char room[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return err_set(
	    err, "%s: %s", text, strerror_r(errnum, room, sizeof(room)));
}

bool
err_no_memory(struct err *err)
{
	return err_set(err, "not enough memory");
}

void
err_prefix(struct err *err, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;

	if (err == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	err_set(err, "%s: %s", text, err->text);
}

bool
err_names(const struct err *err, const char *path)
{
	const char *at = err != NULL && path != NULL ? err->text : NULL;

	for (; at != NULL && (at = strstr(at, path)) != NULL; at++)
		/* Otherwise it is the beginning of a longer path; strchr also
		 * finds the terminator. */
		if (strchr(" :,", at[strlen(path)]) != NULL)
			return true;
	return false;
}
