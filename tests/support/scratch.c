/*
 * Scratch folders.  What is in one is removed without following links, so
 * that a test may put anything there.
 */
#include "tests/support/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH_PARENT_MAX = 24 };

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

void
scratch_open(struct scratch *scratch)
{
	const char *parent = getenv("TMPDIR");
	char path[sizeof(scratch->path) + 8];

	if (parent == NULL || strlen(parent) > SCRATCH_PARENT_MAX)
		parent = "/tmp";
	snprintf(
	    scratch->path, sizeof(scratch->path), "%s/scratch.XXXXXX", parent);
	must(mkdtemp(scratch->path) != NULL, "making a scratch folder");
	snprintf(path, sizeof(path), "%s/store", scratch->path);
	scratch->store = staple_store_open(path, NULL);
	must(scratch->store != NULL, "opening a scratch store");
}

static int
remove_entry(
    const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

void
scratch_close(struct scratch *scratch)
{
	staple_store_close(scratch->store);
	must(nftw(scratch->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0,
	    "removing a scratch folder");
	scratch->store = NULL;
}
