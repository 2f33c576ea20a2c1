/*
 * Parse a configuration with most features while the n-th allocation fails, for
 * every n: each run returns an error and leaks nothing.  The linker wraps the
 * allocators of config's own objects.
 */
#include <stdlib.h>
#include <string.h>

#include "config/arena.h"
#include "unit/config/folder.h"
#include "unit/config/reading.h"

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

/* The number of allocations before one fails; negative: none fails. */
static long countdown = -1;

static bool
fails_now(void)
{
	return countdown >= 0 && countdown-- == 0;
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}

char *
__wrap_strdup(const char *text)
{
	return fails_now() ? NULL : __real_strdup(text);
}

static const char rich[] =
    "threads = 2\nuser = u\nlog = x\nsocket = l:TCP_NODELAY=1\noptions = NO_TLSv1_2\n"
    "include = more.ini\ninclude = empty\n"
    "[tls]\nalpn = h2, http/1.1\nciphers = ${T_NONE:-HIGH}\n"
    "[listener a]\naccept = 1, unix:x\nconnect = a:1, 2, unix:y\ncert = c\n"
    "key = k\nallow = ::1, 10.0.0.0/8\ndeny = 10.1.1.1\n"
    "[b]\naccept = 3\nconnect = [::1]:4\ncert = ${file:name}\n"
    "curves = X25519, P-256\noptions = WHATEVER\n"
    "[host a *.x]\ncert = d, e\nkey = k, l\nallow_san = dns:a, ip:::1\n"
    "verify = require\nca_file = f\nproxy_out = v2\nproxy_tlv = cn, cert\n"
    "[host a y]\nstaple_file = s\ncert = d\nverify = require\nca_file = g\n"
    "[x]\nsni = b:z\nconnect = 5\n"
    "[ocsp]\nurl = http://a/, http://b/\nca_file = c\nproxy = none\n";

/* Expect an error if and only if an allocation failed. */
static bool
read_with_failure(const char *name, const char *text, long n)
{
	struct config_errors errors;
	const struct config *config;
	bool failed;

	countdown = n;
	config = config_parse(name, text, strlen(text), &errors);
	failed = countdown < 0;
	countdown = -1;
	cr_expect_eq(config == NULL, failed, "allocation %ld", n);
	cr_expect_eq(errors.list.count > 0, failed, "allocation %ld", n);
	config_unref(config);
	config_errors_free(&errors);
	return failed;
}

Test(memory, running_out_anywhere_is_an_error)
{
	struct folder folder;
	char path[128];
	long n = 0;

	folder_make(&folder);
	folder_sub(&folder, "empty");
	folder_write(&folder, "name", "c.pem\n");
	folder_write(&folder, "more.ini", "[log]\nlevel = info\n");
	folder_file(&folder, "t.ini", path);
	while (n < 100000 && read_with_failure(path, rich, n))
		n++;
	/* Every allocation failed once, and there were many. */
	cr_expect(n > 100 && n < 100000, "%ld", n);
	folder_remove(&folder);
}

Test(memory, running_out_while_errors_are_reported_crashes_nothing)
{
	static const char bad[] = "foo\n[x\nthreads = 0\n[listener a]\n";

	for (long n = 0; n < 200; n++) {
		struct config_errors errors;

		countdown = n;
		cr_expect_null(
		    config_parse("t.ini", bad, strlen(bad), &errors));
		countdown = -1;
		config_errors_free(&errors);
	}
}
