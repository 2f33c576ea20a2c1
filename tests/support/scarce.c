/* See scarce.h.  One thread. */
#include "tests/support/scarce.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/crypto.h>

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

/* How many more succeed before one fails; negative: all do. */
static long countdown = -1;

bool
scarce_fails_now(void)
{
	if (countdown < 0 || countdown-- > 0)
		return false;
	errno = ENOMEM; /* as malloc does */
	return true;
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return scarce_fails_now() ? NULL : __real_calloc(count, size);
}

static void *
allocate(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return scarce_fails_now() ? NULL : malloc(size);
}

static void *
reallocate(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return scarce_fails_now() ? NULL : realloc(old, size);
}

static void
release(void *old, const char *file, int line)
{
	(void)file;
	(void)line;
	free(old);
}

/* The test framework itself may load what uses OpenSSL: before its main. */
__attribute__((constructor)) static void
take_over(void)
{
	if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
		abort();
}

void
scarce_begin(long n)
{
	countdown = n;
}

bool
scarce_end(void)
{
	bool failed = countdown < 0;

	countdown = -1;
	return failed;
}
