/*
 * A store in a scratch folder, made before and removed after each test.
 */
#ifndef TESTS_UNIT_STAPLE_STORE_FOLDER_H
#define TESTS_UNIT_STAPLE_STORE_FOLDER_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "staple/store.h"
#include "tests/support/scratch.h"

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

enum { MAX = 4096 };

static struct scratch scratch;
static struct err err;

static inline const char *
in_top(const char *name, char out[static 256])
{
	snprintf(out, 256, "%s/%s", scratch.path, name);
	return out;
}

static inline const char *
file_path(void)
{
	static char path[256];

	return in_top("store/ocsp/" ID, path);
}

static inline void
folder_set_up(void)
{
	scratch_open(&scratch);
}

static inline void
folder_tear_down(void)
{
	scratch_close(&scratch);
}

static inline void
put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file, "%s", path);
	cr_assert(fputs(text, file) >= 0 && fclose(file) == 0);
}

static inline bool
save(const char *text)
{
	return staple_store_write(
	    scratch.store, ID, (const unsigned char *)text, strlen(text), &err);
}

/* What is in the file, as text that lives until the next call; NULL: there is
 * none. */
static inline const char *
load(void)
{
	static char text[MAX + 1];
	struct staple_bytes bytes;
	bool found;

	cr_assert(staple_store_read(scratch.store, ID, MAX, &bytes, &err), "%s",
	    err.text);
	found = bytes.data != NULL;
	snprintf(text, sizeof(text), "%.*s", (int)bytes.len,
	    found ? (const char *)bytes.data : "");
	free(bytes.data);
	return found ? text : NULL;
}

static inline void
expect(const char *wanted, const char *what)
{
	const char *text = load();

	cr_expect_not_null(text, "%s: no file", what);
	if (text != NULL)
		cr_expect_str_eq(text, wanted, "%s", what);
}

static inline bool
exists(const char *name)
{
	struct stat status;
	char path[256];

	return lstat(in_top(name, path), &status) == 0;
}

/* How many temporary files there are. */
static inline unsigned
count_aside(void)
{
	char path[256];
	DIR *entries = opendir(in_top("store/ocsp", path));
	const struct dirent *entry;
	unsigned count = 0;

	cr_assert_not_null(entries);
	while ((entry = readdir(entries)) != NULL)
		count += strstr(entry->d_name, ".tmp") != NULL;
	closedir(entries);
	return count;
}

#endif
