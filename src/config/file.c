/*
 * Reads whole files for the configuration.  Opened without blocking and only
 * accepted when regular, so that a pipe or a device named by mistake in a
 * running system cannot stop a reload.  Main thread.
 */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "config/arena.h"

static bool
check_kind(const struct stat *status, size_t max, struct err *err)
{
	if (S_ISDIR(status->st_mode))
		err_set(err, "is a folder, not a file");
	else if (!S_ISREG(status->st_mode))
		err_set(err, "is not a regular file");
	else if (status->st_size > (off_t)max)
		err_set(err, "is larger than %zu bytes", max);
	else
		return true;
	return false;
}

/* Up to size bytes; what was read, or -1 with errno. */
static ssize_t
read_all(int fd, char *out, size_t size)
{
	size_t have = 0;
	ssize_t got;

	while (have < size) {
		got = read(fd, out + have, size - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

static bool
take_bytes(struct file_bytes *file, struct arena *arena, int fd, size_t max,
    struct err *err)
{
	struct stat status;
	ssize_t got;
	size_t room;

	if (fstat(fd, &status) < 0) {
		err_set_errno(err, errno, "cannot be read");
		return false;
	}
	if (!check_kind(&status, max, err))
		return false;
	/* Files of /proc have size 0 and a content all the same. */
	room = status.st_size > 0 ? (size_t)status.st_size : 4096;
	file->bytes = arena_alloc(arena, room + 1);
	if (file->bytes == NULL) {
		err_set(err, "not enough memory");
		return false;
	}
	got = read_all(fd, file->bytes, room);
	if (got < 0) {
		err_set_errno(err, errno, "cannot be read");
		return false;
	}
	file->size = (size_t)got;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	return true;
}

/* Looked at before it is opened, too: opening alone makes some devices act. */
static int
open_regular(const char *path, size_t max, struct err *err)
{
	struct stat status;
	int fd;

	if (stat(path, &status) == 0 && !check_kind(&status, max, err))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		err_set_errno(err, errno, "cannot be opened");
	return fd;
}

bool
file_read(struct file_bytes *file, struct arena *arena, const char *path,
    size_t max, struct err *err)
{
	int fd = open_regular(path, max, err);
	bool read;

	if (fd < 0)
		return false;
	read = take_bytes(file, arena, fd, max, err);
	close(fd);
	return read;
}

char *
file_beside(struct arena *arena, const char *from, const char *path)
{
	const char *slash = strrchr(from, '/');

	if (path[0] == '/' || slash == NULL)
		return arena_copy(arena, path, strlen(path));
	return arena_format(arena, "%.*s/%s", (int)(slash - from), from, path);
}
