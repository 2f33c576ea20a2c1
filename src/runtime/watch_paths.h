/*
 * Where to look for changes of what a path leads to: the folder and the name
 * of the file itself and of every symlink on the way to it, and the folders
 * that are walked through.  Where something is missing, the last folder that
 * exists, so that it is seen to appear.  Main thread; blocks on the disk.
 */
#ifndef RUNTIME_WATCH_PATHS_H
#define RUNTIME_WATCH_PATHS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct watch_place {
	char *folder; /* absolute, without symlinks when it was walked */
	/* What counts in it.  "": every name.  NULL: none, only whether the
	 * folder itself goes or moves. */
	const char *name;
};

/* A zeroed one is empty. */
struct watch_places {
	struct watch_place *items;
	size_t count;
	size_t capacity;

	/* The last folder walked to, and where it is if it is there: the
	 * files of one folder cost one look each. */
	char front[PATH_MAX];
	char front_real[PATH_MAX];
	bool front_there;
};

/* Add what counts for one path; relative ones begin in the current folder.
 * is_folder: every name in it as well.  false: no memory. */
bool watch_places_add(
    struct watch_places *places, const char *path, bool is_folder) MUST_CHECK;

/* Order by folder and name, each once.  After the last add. */
void watch_places_sort(struct watch_places *places);

/* The rest is for sorted ones. */

/* How many places from the first one on are in the folder of that one? */
size_t watch_places_run(const struct watch_places *places, size_t first);

/* Does this name count in the folder of these places (a run)? */
bool watch_places_want(
    const struct watch_place *places, size_t count, const char *name);

void watch_places_fini(struct watch_places *places);

#endif
