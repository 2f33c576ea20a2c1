/*
 * Stamps from stat.  Any thread.  The time of the last change of the inode
 * (ctime) counts beside the size and the time of the contents: cp -p and
 * touch set those as they please, and nobody sets that one.
 */
#include "runtime/stamp.h"

#include <errno.h>
#include <sys/stat.h>

#define NS_PER_S INT64_C(1000000000)

static int64_t
nanoseconds(struct timespec time)
{
	return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

struct stamp
stamp_of(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return (struct stamp){ .errnum = errno };
	return (struct stamp){
		.dev = status.st_dev,
		.ino = status.st_ino,
		.size = status.st_size,
		.mtime_ns = nanoseconds(status.st_mtim),
		.ctime_ns = nanoseconds(status.st_ctim),
	};
}

bool
stamp_equal(const struct stamp *a, const struct stamp *b)
{
	if (a->errnum != 0 || b->errnum != 0)
		return a->errnum == b->errnum;
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

bool
stamp_is_settled(const struct stamp *stamp, int64_t now_ns)
{
	/* What is not there cannot come to be there unseen. */
	return stamp->errnum != 0 || (now_ns - stamp->mtime_ns >= NS_PER_S &&
					 now_ns - stamp->ctime_ns >= NS_PER_S);
}
