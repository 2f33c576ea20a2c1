/*
 * Scratch folders.  What is in one is removed without following links, so
 * that a test may put anything there.
 */
#include "tests/support/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

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
	char path[64];

	snprintf(scratch->path, sizeof(scratch->path), "/tmp/scratch.XXXXXX");
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
