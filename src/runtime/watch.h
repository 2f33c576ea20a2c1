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
	/* Watch everything in it, and the targets of links in it. */
	bool is_folder;
};

/*
 * Watch these paths and no others; they are copied; in any order, also twice.
 * `read` (NULL: unknown) holds the stamps of the contents that were read, one
 * for each path: a change between reading and this call is then detected.
 * Equal paths cost a stat each, and no event is lost.  false: no memory; the old
 * paths stay.
 */
bool watch_follow(struct watch *watch, const struct watch_path *paths,
    const struct stamp *read, size_t count) MUST_CHECK;

void watch_free(struct watch *watch); /* NULL ok */

struct watch_timing {
	double quiet_s;   /* so long without a change: the burst is over */
	double most_s;    /* or so long since the first change */
	double compare_s; /* between comparisons of all stamps */
};

void watch_set_timing(struct watch *watch, const struct watch_timing *timing);

/* ---- Parts, for unit tests (the set of watched files) ---- */

struct watch_file {
	char *path;
	bool is_folder;
	bool found;    /* in a watched folder, not a named path */
	bool is_known; /* the rest counts */
	bool settled;  /* when it was stamped */
	struct stamp stamp;
};

/* Sorted by path, each once.  A zeroed one is empty. */
struct watch_set {
	struct watch_file *files;
	size_t count;
	size_t capacity;
};

/*
 * The named paths, with the stamps of the contents that were read (NULL:
 * unknown).  A path with two different stamps has changed.  false: no memory,
 * and *set is empty.
 */
bool watch_set_init(struct watch_set *set, const struct watch_path *paths,
    const struct stamp *read, size_t count) MUST_CHECK;
void watch_set_fini(struct watch_set *set);

/* Do both name equal paths?  Files found in folders do not count. */
bool watch_set_same(const struct watch_set *a, const struct watch_set *b);

/*
 * Copy known stamps of `from` to *set; replace: also over known ones.
 */
void watch_set_learn(
    struct watch_set *set, const struct watch_set *from, bool replace);

/*
 * Make *set of the named paths of `from` and of the present contents of its
 * folders; known stamps are kept.  false: no memory, and *set is empty.
 */
bool watch_set_expand(
    struct watch_set *set, const struct watch_set *from) MUST_CHECK;

struct watch_look {
	bool differs; /* some stamp differs from the known one */
	/* existed, and may not be accessed now; NULL: none */
	const char *hidden;
};

/*
 * Compare the stamps of the files with the known ones, and store the new ones.
 * Without a known stamp a file does not differ, nor does a hidden one: it could
 * not be read either.  touched: there was an event, so an equal stamp proves
 * nothing unless it was settled.
 */
struct watch_look watch_set_look(
    struct watch_set *set, bool touched, int64_t now_ns);

/* ---- Parts, for unit tests (the places of a path) ---- */

struct watch_place {
	char *folder; /* absolute, free of symlinks at the time of the walk */
	/* The name that counts. "": every name.  NULL: none, only moves and
	 * removal of the folder itself. */
	const char *name;
};

/* A zeroed one is empty. */
struct watch_places {
	struct watch_place *items;
	size_t count;
	size_t capacity;

	/* The last folder walked to, and its real path if it exists: the files
	 * of one folder cost one walk. */
	char front[PATH_MAX];
	char front_real[PATH_MAX];
	bool front_there;
};

/* Add the places of one path; relative ones begin in the current folder.
 * is_folder: every name in it as well.  false: no memory. */
bool watch_places_add(
    struct watch_places *places, const char *path, bool is_folder) MUST_CHECK;

/* Sort by folder and name, each once.  After the last add. */
void watch_places_sort(struct watch_places *places);

/* The rest is for sorted places. */

/* How many places from `first` on are in its folder? */
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
	bool added; /* some folder is new */
	/* why some folder is not watched; ENOSPC wins; 0: all are */
	int errnum;
};

/*
 * Watch the folders of these places (sorted) and no others; watches that stay
 * have no gap.  Takes the places.  false: no memory, and the old ones stay.
 */
bool watch_folders_follow(struct watch_folders *folders,
    struct watch_places *places, struct watch_result *result) MUST_CHECK;

/* Read pending events, a few buffers at most.  Was one of them about a place,
 * or were any lost? */
bool watch_folders_read(struct watch_folders *folders);

#endif
