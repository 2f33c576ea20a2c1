/*
 * OpenSSL's error queue.  Any thread.  The earliest entry is the cause and the
 * later ones its consequences, so the earliest is reported.
 */
#include "tls/error.h"

#include <stdarg.h>
#include <stdio.h>

#include <openssl/err.h>

#include "base/err.h"

void
tls_error_clear(void)
{
	/* Peeking is much cheaper than clearing sixteen empty slots. */
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

unsigned long
tls_error_take(void)
{
	unsigned long code = ERR_peek_error();

	if (code != 0)
		ERR_clear_error();
	return code;
}

const char *
tls_error_reason(unsigned long code)
{
	const char *reason = ERR_reason_error_string(code);

	return reason != NULL ? reason : "unknown OpenSSL error";
}

void
tls_error_set(struct err *err, const char *format, ...)
{
	unsigned long code = tls_error_take();
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (code == 0)
		err_set(err, "%s", text);
	else
		err_set(err, "%s: %s", text, tls_error_reason(code));
}
