/*
 * Watching files.  inotify watches the folder of each path and of every
 * symlink on the way to it (certbot's live/, Kubernetes' ..data), so that a
 * swap of any link is seen.  Every 60 s the stamps are compared as well, for
 * file systems without events (NFS, bind mounts).  Main thread; blocks on the
 * disk.
 */
#ifndef RUNTIME_WATCH_H
#define RUNTIME_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;
struct ev_loop;
struct log;
struct watch;

/* ---- Stamps ---- */

struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	int errnum; /* of stat; 0: the rest counts */
};

/* Follows symlinks.  A missing file has a stamp too. */
struct stamp stamp_of(const char *path);

bool stamp_equal(const struct stamp *a, const struct stamp *b);

/*
 * Was the file unchanged for a second when it was stamped at now_ns (wall
 * clock)?  File times are coarse: a second write in one tick leaves an equal
 * stamp, so only a settled stamp proves that nothing has changed since.
 */
bool stamp_is_settled(const struct stamp *stamp, int64_t now_ns);

/* ---- The watch ---- */

/* A watched file may have changed (rarely: none has).  From the main loop; may
 * call watch_follow, not watch_free. */
typedef void watch_fn(void *arg);

/* Without inotify only the stamps are compared, and one warning is logged.
 * NULL: no memory. */
struct watch *watch_new(struct ev_loop *loop, struct log *log,
    watch_fn *changed, void *arg, struct err *err) MUST_CHECK;

struct watch_path {
	const char *path;
	struct stamp read; /* of the contents that were read */
	/* Watch everything in it, and the targets of links in it. */
	bool is_folder;
};

/*
 * Watch these paths and no others; they are copied; in any order, also twice.
 * A change between the reading and this call is detected.  Equal paths cost a
 * stat each, and no event is lost.  false: no memory; the old paths stay.
 */
bool watch_follow(struct watch *watch, const struct watch_path *paths,
    size_t count) MUST_CHECK;

void watch_free(struct watch *watch); /* NULL ok */

struct watch_timing {
	double quiet_s;   /* so long without a change: the burst is over */
	double most_s;    /* or so long since the first change */
	double compare_s; /* between comparisons of all stamps */
};

void watch_set_timing(struct watch *watch, const struct watch_timing *timing);

#endif
