/*
 * A temporary folder for one test.
 */
#ifndef TESTS_UNIT_CONFIG_FOLDER_H
#define TESTS_UNIT_CONFIG_FOLDER_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
	char path[64];
};

static inline void
folder_make(struct folder *folder)
{
	snprintf(folder->path, sizeof(folder->path), "/tmp/config.XXXXXX");
	cr_assert_not_null(mkdtemp(folder->path));
}

static inline int
remove_entry(
    const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static inline void
folder_remove(const struct folder *folder)
{
	cr_assert_eq(
	    nftw(folder->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* The path of a file in the folder, in `out`. */
static inline const char *
folder_file(const struct folder *folder, const char *name, char out[static 128])
{
	snprintf(out, 128, "%s/%s", folder->path, name);
	return out;
}

static inline void
folder_write(const struct folder *folder, const char *name, const char *text)
{
	char path[128];
	FILE *file = fopen(folder_file(folder, name, path), "w");

	cr_assert_not_null(file, "%s", path);
	cr_assert(fputs(text, file) >= 0);
	cr_assert_eq(fclose(file), 0);
}

static inline void
folder_sub(const struct folder *folder, const char *name)
{
	char path[128];

	cr_assert_eq(mkdir(folder_file(folder, name, path), 0700), 0);
}

#endif
