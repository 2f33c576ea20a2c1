/*
 * Files that change.  inotify watches the folder of each path and of every
 * symlink on the way to it (certbot's live/, Kubernetes' ..data), so that a
 * swap of any link is seen; every 60 s the stamps are compared as well, for file
 * systems that tell nothing (NFS, bind mounts).  Whoever asked is called once
 * things have been quiet for a moment, and decides what has changed by
 * looking.  Main thread.
 */
#ifndef RUNTIME_WATCH_H
#define RUNTIME_WATCH_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct err;
struct log;
struct stamp;
struct watch;

/* Some watched file may have changed (rarely: none has).  From the main loop;
 * may call watch_follow, not watch_free. */
typedef void watch_fn(void *arg);

/* Without inotify (no instance to be had) the comparing alone is left, and one
 * warning says so.  NULL: no memory. */
struct watch *watch_new(struct ev_loop *loop, struct log *log,
    watch_fn *changed, void *arg, struct err *err) MUST_CHECK;

struct watch_path {
	const char *path;
	/* Everything in it counts, and what the links in it lead to. */
	bool is_folder;
};

/*
 * From now on these and no others; copied; in any order, also twice.  `read`
 * (may be NULL: unknown) holds the stamps of what was read, as many as paths:
 * a change between the reading and this call is seen then.  The same paths
 * again cost a stat each, and no event is lost in between.  false: no memory;
 * the old ones are still watched.
 */
bool watch_follow(struct watch *watch, const struct watch_path *paths,
    const struct stamp *read, size_t count) MUST_CHECK;

void watch_free(struct watch *watch); /* NULL ok */

#endif
