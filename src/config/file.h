/*
 * Files that a configuration names, read whole and distrustfully, and the
 * one rule for paths: relative means relative to the file that says it.
 * Main thread.
 */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"

struct arena;
struct err;

#define FILE_SIZE_MAX (4u << 20)

/* A file's bytes (terminated, the NUL not counted) and who it really is. */
struct file_bytes {
	char *bytes; /* in the arena */
	size_t size;
	dev_t device;
	ino_t inode;
};

/*
 * Read a regular file of at most `max` bytes; `path` is as given to open.
 * The sentence on failure does not repeat the path.
 */
bool file_read(struct file_bytes *file, struct arena *arena, const char *path,
    size_t max, struct err *err) MUST_CHECK;

/*
 * `path` as seen from the folder of the file `from`: absolute paths and
 * those beside a `from` without folder come back as they are.  In the arena;
 * NULL: no memory.
 */
char *file_beside(
    struct arena *arena, const char *from, const char *path) MUST_CHECK;

#endif
