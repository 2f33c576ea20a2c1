/*
 * The kernel's word for what happens in folders (inotify), reduced to one
 * question: has something been done that may matter?  Main thread; blocks on
 * the disk for as long as a look at each folder does.
 */
#ifndef RUNTIME_WATCH_FOLDERS_H
#define RUNTIME_WATCH_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "runtime/watch_paths.h"

struct watch_folder {
	const char *path; /* borrowed from places */
	size_t first;     /* its places */
	size_t count;
	int wd; /* -1: not watched */
};

struct watch_folders {
	int fd; /* -1: no inotify */
	struct watch_places places;
	struct watch_folder *folders; /* by wd */
	size_t count;
};

/* false: errno says why, and *folders watches nothing. */
bool watch_folders_init(struct watch_folders *folders) MUST_CHECK;
void watch_folders_fini(struct watch_folders *folders);

struct watch_result {
	bool added; /* some folder was not watched before */
	int errnum; /* why some folder is not; ENOSPC if of several; 0: all are */
};

/*
 * Watch where these places are (sorted), and nowhere else; what is watched
 * already stays so without a gap.  Takes the places.  false: no memory, and
 * the old ones are watched.
 */
bool watch_folders_follow(struct watch_folders *folders,
    struct watch_places *places, struct watch_result *result) MUST_CHECK;

/* Read the events there are, a few buffers at most.  Was one of them about a
 * place, or were any lost? */
bool watch_folders_read(struct watch_folders *folders);

#endif
