/*
 * Watching files.  inotify watches the folder of each path and of every
 * symlink on the way to it (certbot's live/, Kubernetes' ..data), so that a
 * swap of any link is seen.  Every 60 s the stamps are compared as well, for
 * file systems without events (NFS, bind mounts).  Main thread; blocks on the
 * disk.
 */
#ifndef RUNTIME_WATCH_H
#define RUNTIME_WATCH_H

#include <limits.h>
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

/* Follows symlinks.  A path that is not there has a stamp too. */
struct stamp stamp_of(const char *path);

bool stamp_equal(const struct stamp *a, const struct stamp *b);

/*
 * Was the file quiet for a second when it was stamped at now_ns (wall clock)?
 * File times are coarse: one written again in the same tick looks the same, so
 * only a settled stamp proves that nothing has changed since.
 */
bool stamp_is_settled(const struct stamp *stamp, int64_t now_ns);

/* ---- The watch ---- */

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

struct watch_timing {
	double quiet_s;   /* nothing happened for so long: it is over */
	double most_s;    /* or the first thing happened that long ago */
	double compare_s; /* between looks at all stamps */
};

void watch_set_timing(struct watch *watch, const struct watch_timing *timing);

/* ---- Parts, for unit tests (the set of watched files) ---- */

struct watch_file {
	char *path;
	bool is_folder;
	bool found;    /* in a watched folder; nobody named it */
	bool is_known; /* the rest counts */
	bool settled;  /* when it was stamped */
	struct stamp stamp;
};

/* By path, each once.  A zeroed one is empty. */
struct watch_set {
	struct watch_file *files;
	size_t count;
	size_t capacity;
};

/*
 * The named paths, with the stamps they were read by (NULL: unknown).  One
 * that was read twice with different stamps has changed.  false: no memory,
 * and *set is empty.
 */
bool watch_set_init(struct watch_set *set, const struct watch_path *paths,
    const struct stamp *read, size_t count) MUST_CHECK;
void watch_set_fini(struct watch_set *set);

/* Do both name the same paths?  What was found in folders does not count. */
bool watch_set_same(const struct watch_set *a, const struct watch_set *b);

/*
 * What is known in `from` is known in *set too; replace: even of files that
 * *set knows better.
 */
void watch_set_learn(
    struct watch_set *set, const struct watch_set *from, bool replace);

/*
 * Make *set of what `from` names and of what is in its folders now; what is
 * known stays so.  false: no memory, and *set is empty.
 */
bool watch_set_expand(
    struct watch_set *set, const struct watch_set *from) MUST_CHECK;

struct watch_look {
	bool differs;       /* some file is not the one that was known */
	const char *hidden; /* was there, and may not be looked at now; NULL */
};

/*
 * Compare the files with what is known of them, and know the new ones from now
 * on.  One that nothing is known of does not differ, nor does a hidden one:
 * whoever is told could not read it.  touched: something has been done to
 * them, so that an equal stamp is no proof unless it was settled.
 */
struct watch_look watch_set_look(
    struct watch_set *set, bool touched, int64_t now_ns);

/* ---- Parts, for unit tests (the places of a path) ---- */

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

/* ---- Parts, for unit tests (inotify) ---- */

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
