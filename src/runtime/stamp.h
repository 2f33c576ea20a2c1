/*
 * What tells that a file has changed without reading it.  Plain values; any
 * thread; blocks on the disk for as long as a stat does.
 */
#ifndef RUNTIME_STAMP_H
#define RUNTIME_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

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

#endif
