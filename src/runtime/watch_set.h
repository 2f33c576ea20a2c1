/*
 * Which files are watched, and the stamps they were known by.  Main thread;
 * blocks on the disk.
 */
#ifndef RUNTIME_WATCH_SET_H
#define RUNTIME_WATCH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "runtime/stamp.h"
#include "runtime/watch.h"

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

#endif
