/*
 * Responses on disk.  Any thread.  The folder is opened anew for each
 * operation, so that one that was made again, mounted or put in its place
 * while we run is the one that is used.  Two processes may share it (one takes
 * over from the other): each renames whole files, and the worst that can
 * happen between them is a save that fails.
 */
#include "staple/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

enum { ID_LEN = 64 };

struct staple_store {
	atomic_uint references;

	/* fixed at creation */
	char *path;     /* of the folder that holds the files */
	bool made_late; /* ...by the first write */
};

static const char *
remedy(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return "; make room there";
	case EROFS:
		return "; make that file system writable, or configure "
		       "another store_dir";
	case EACCES:
	case EPERM:
		return "; give the user of this process access there";
	case ENOENT:
		return "; make the folder that it is to be in";
	case ENOTDIR:
		return "; put a folder in the place of that file";
	case EISDIR:
		return "; remove the folder in its place";
	case ELOOP:
		return "; put a regular file in the place of the link";
	default:
		return "";
	}
}

/* "cannot <do> <path>: why; what to do".  Returns false. */
static bool
complain(struct err *err, const char *what, const char *path, int errnum)
{
	err_set_errno(err, errnum, "cannot %s %s", what, path);
	if (err != NULL)
		err_set(err, "%s%s", err->text, remedy(errnum));
	return false;
}

/* ---- life ---- */

static bool
make_folder(const char *path, struct err *err)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return true;
	return complain(err, "make the folder", path, errno);
}

static int
open_folder(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool
may_open(const char *path, struct err *err)
{
	int folder = open_folder(path);

	if (folder < 0)
		return complain(err, "open the folder", path, errno);
	close(folder);
	return true;
}

static struct staple_store *
make(const char *store_dir, const char *name, struct err *err)
{
	struct staple_store *store = calloc(1, sizeof(*store));

	if (store == NULL ||
	    asprintf(&store->path, "%s/%s", store_dir, name) < 0) {
		err_set(err, "no memory for the store in %s", store_dir);
		free(store);
		return NULL;
	}
	atomic_init(&store->references, 1);
	return store;
}

struct staple_store *
staple_store_open_issuers(const char *store_dir, struct err *err)
{
	struct staple_store *store = make(store_dir, "issuer", err);

	if (store != NULL)
		store->made_late = true;
	return store;
}

struct staple_store *
staple_store_open(const char *store_dir, struct err *err)
{
	struct staple_store *store = make(store_dir, "ocsp", err);

	if (store == NULL)
		return NULL;
	if (!make_folder(store_dir, err) || !make_folder(store->path, err) ||
	    !may_open(store->path, err)) {
		staple_store_close(store);
		return NULL;
	}
	return store;
}

struct staple_store *
staple_store_ref(struct staple_store *store)
{
	atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
	return store;
}

void
staple_store_close(struct staple_store *store)
{
	if (store == NULL || atomic_fetch_sub_explicit(&store->references, 1,
				 memory_order_acq_rel) != 1)
		return;
	free(store->path);
	free(store);
}

static bool
is_id(const char *id)
{
	return strlen(id) == ID_LEN && strspn(id, "0123456789abcdef") == ID_LEN;
}

/* The path of a file in the store, for sentences; NULL: *err. */
static char *
full_path(const struct staple_store *store, const char *id, struct err *err)
{
	char *path;

	if (!is_id(id)) {
		err_set(err,
		    "\"%.80s\" names no file of the store: "
		    "64 lower-case hex digits would",
		    id);
		return NULL;
	}
	if (asprintf(&path, "%s/%s", store->path, id) < 0) {
		err_set(err, "no memory for a path in %s", store->path);
		return NULL;
	}
	return path;
}

/* ---- reading ---- */

/* Until it ends or there is no more room; -1: errno. */
static ssize_t
read_fully(int fd, unsigned char *data, size_t room)
{
	size_t len = 0;
	ssize_t got;

	while (len < room) {
		got = read(fd, data + len, room - len);
		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return -1;
		len += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)len;
}

static bool
may_read(
    const struct stat *status, const char *path, size_t max, struct err *err)
{
	if (!S_ISREG(status->st_mode)) {
		err_set(
		    err, "%s is no regular file; put a response there", path);
		return false;
	}
	if ((uintmax_t)status->st_size > max) {
		err_set(err, "%s holds more than %zu bytes; no response does",
		    path, max);
		return false;
	}
	return true;
}

static bool
read_regular(int fd, const char *path, size_t max, struct staple_bytes *bytes,
    struct err *err)
{
	struct stat status;
	size_t size;
	ssize_t len;

	if (fstat(fd, &status) != 0)
		return complain(err, "read", path, errno);
	if (!may_read(&status, path, max, err))
		return false;
	size = (size_t)status.st_size;
	bytes->modified_s = status.st_mtim.tv_sec;
	/* Room for one more byte, so that it is noticed when it has grown. */
	bytes->data = malloc(size + 1);
	if (bytes->data == NULL)
		return complain(err, "read", path, ENOMEM);
	len = read_fully(fd, bytes->data, size + 1);
	if (len < 0)
		return complain(err, "read", path, errno);
	bytes->len = (size_t)len;
	if (bytes->len <= size)
		return true;
	err_set(err, "%s grew while it was read", path);
	return false;
}

/* A FIFO in its place must not hold us up: hence O_NONBLOCK. */
static bool
read_file(const char *path, int flags, size_t max, struct staple_bytes *bytes,
    struct err *err)
{
	bool ok;
	int fd;

	*bytes = (struct staple_bytes){ .data = NULL };
	fd = open(path, flags | O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || complain(err, "read", path, errno);
	ok = read_regular(fd, path, max, bytes, err);
	close(fd);
	if (!ok) {
		free(bytes->data);
		*bytes = (struct staple_bytes){ .data = NULL };
	}
	return ok;
}

bool
staple_store_read(struct staple_store *store, const char *id, size_t max,
    struct staple_bytes *bytes, struct err *err)
{
	char *path = full_path(store, id, err);
	bool ok;

	*bytes = (struct staple_bytes){ .data = NULL };
	if (path == NULL)
		return false;
	ok = read_file(path, O_NOFOLLOW, max, bytes, err);
	free(path);
	return ok;
}

bool
staple_file_read(
    const char *path, size_t max, struct staple_bytes *bytes, struct err *err)
{
	return read_file(path, 0, max, bytes, err);
}

void
staple_file_stamp(const char *path, struct staple_stamp *stamp)
{
	struct stat status;

	*stamp = (struct staple_stamp){ 0 };
	if (stat(path, &status) != 0)
		return;
	stamp->device = status.st_dev;
	stamp->inode = status.st_ino;
	stamp->size = (uint64_t)status.st_size;
	/* Unsigned: an mtime may be centuries away, and only differ. */
	stamp->modified_ns = (int64_t)((uint64_t)status.st_mtim.tv_sec *
					   1000000000 +
				       (uint64_t)status.st_mtim.tv_nsec);
}

/* ---- writing ---- */

/* What a kill left behind under the name was never whole. */
static int
create(int folder, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	int fd = openat(folder, name, flags, 0600);

	if (fd < 0 && errno == EEXIST && unlinkat(folder, name, 0) == 0)
		fd = openat(folder, name, flags, 0600);
	return fd;
}

static bool
write_fully(int fd, const unsigned char *data, size_t len)
{
	size_t done = 0;
	ssize_t gone;

	while (done < len) {
		gone = write(fd, data + done, len - done);
		if (gone < 0 && errno != EINTR)
			return false;
		done += gone > 0 ? (size_t)gone : 0;
	}
	return fsync(fd) == 0;
}

/* The name aside is one for each id: a thousand kills leave one file. */
static bool
replace(int folder, const char *id, const unsigned char *data, size_t len)
{
	char aside[ID_LEN + sizeof("..tmp")];
	int fd, errnum;
	bool ok;

	snprintf(aside, sizeof(aside), ".%s.tmp", id);
	fd = create(folder, aside);
	if (fd < 0)
		return false;
	ok = write_fully(fd, data, len) &&
	     renameat(folder, aside, folder, id) == 0;
	errnum = errno;
	close(fd);
	if (!ok)
		unlinkat(folder, aside, 0);
	errno = errnum;
	/* A file system whose folders cannot be synced says so by EINVAL. */
	return ok && (fsync(folder) == 0 || errno == EINVAL);
}

bool
staple_store_write(struct staple_store *store, const char *id,
    const unsigned char *data, size_t len, struct err *err)
{
	char *path = full_path(store, id, err);
	bool ok;
	int folder;

	if (path == NULL)
		return false;
	folder = open_folder(store->path);
	if (folder < 0 && errno == ENOENT && store->made_late &&
	    mkdir(store->path, 0700) == 0)
		folder = open_folder(store->path);
	ok = folder >= 0 && replace(folder, id, data, len);
	if (!ok)
		complain(err, "write", path, errno);
	if (folder >= 0)
		close(folder);
	free(path);
	return ok;
}
