/*
 * Responses on disk.  Any thread.  The folder is opened anew for each
 * operation, so that a folder that is created, mounted or replaced later is
 * used.  Several processes may share it: each
 * writes under a temporary name of its own and renames whole files, and a claim
 * (a lock of one byte of the file .lock) shows the others which response is
 * being fetched.  The locks belong to open file descriptions: they end with the
 * process and, unlike those of fcntl's older kind, also exclude another struct
 * staple of the same process.
 */
#include "staple/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#define LOCKS ".lock"
#define ASIDE_END ".tmp"

enum {
	ID_LEN = 64,
	RANDOM_LEN = 16,
	ASIDE_SIZE = ID_LEN + RANDOM_LEN + sizeof("..") + sizeof(ASIDE_END),
	NAMES_MAX = 100, /* random ones that may exist already */
	SWEPT_AT_ONCE = 64,
	HOUR_S = 3600,
	DAY_S = 24 * HOUR_S,
	UNKNOWN_S = 30 * DAY_S,
	UNREAD_S = 365 * DAY_S
};

struct staple_store {
	atomic_uint references;

	/* fixed at creation */
	char *path;        /* of the folder that holds the files */
	bool is_made_late; /* by the first write, where it is not there */
	int64_t
	    unknown_s; /* age at which a file without certificate is removed */
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
		return "; mount a writable volume there, make that file "
		       "system writable, or configure another store_dir";
	case EACCES:
	case EPERM:
		return "; give the user of this process access there";
	case ENOENT:
		return "; create its parent folder";
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

/* ---- Open and close ---- */

/*
 * What root makes belongs to the owner of the folder that it is in (`folder`
 * opened, `like` relative to it), so that a process of that user can read and
 * replace it.  Where root may not change owners it stays root's, which the
 * reader notices.
 */
static void
give(int fd, int folder, const char *like)
{
	struct stat owner;

	if (geteuid() == 0 && fstatat(folder, like, &owner, 0) == 0 &&
	    owner.st_uid != 0 && fchown(fd, owner.st_uid, owner.st_gid) != 0)
		errno = 0;
}

/*
 * In a folder that its group may write to, what is made is for the group too:
 * the user of a container may be another one after a restart, its group stays.
 */
static void
share(int fd, int folder, const char *like)
{
	struct stat around, made;

	if (fstatat(folder, like, &around, 0) == 0 && fstat(fd, &made) == 0 &&
	    (around.st_mode & (S_IWGRP | S_IWOTH)) == S_IWGRP &&
	    fchmod(fd, (made.st_mode | (made.st_mode & S_IRWXU) >> 3) & 07777))
		errno = 0;
}

static void
pass_on(int fd, int folder, const char *like)
{
	share(fd, folder, like);
	give(fd, folder, like);
}

/* store_dir itself is not shared: the folder around it is not the store's. */
static bool
make_folder(const char *path, bool is_inside, struct err *err)
{
	int folder;

	if (mkdir(path, 0700) != 0)
		return errno == EEXIST ||
		       complain(err, "create the folder", path, errno);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return true;
	if (is_inside)
		share(folder, folder, "..");
	give(folder, folder, "..");
	close(folder);
	return true;
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

	if (store == NULL)
		return NULL;
	store->is_made_late = true;
	store->unknown_s = UNREAD_S;
	return store;
}

bool
staple_store_make_folder(struct staple_store *store, struct err *err)
{
	return make_folder(store->path, true, err);
}

struct staple_store *
staple_store_open(const char *store_dir, struct err *err)
{
	struct staple_store *store = make(store_dir, "ocsp", err);

	if (store == NULL)
		return NULL;
	store->unknown_s = UNKNOWN_S;
	if (!make_folder(store_dir, false, err) ||
	    !make_folder(store->path, true, err) ||
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
		    "\"%.80s\" is no file name of the store: "
		    "64 lower-case hex digits are",
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
		err_set(err,
		    "%s has more than %zu bytes, the limit of a response", path,
		    max);
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

/* O_NONBLOCK: opening a FIFO in its place must not block. */
static bool
read_file(const char *path, int flags, size_t max, struct staple_bytes *bytes,
    struct err *err)
{
	bool ok;
	int fd;

	*bytes = (struct staple_bytes){ .data = NULL };
	/* A file of the store is ours; another one may be in a folder that this
	 * user may not search. */
	fd = flags == 0 ? file_open(path)
			: open(path, flags | O_RDONLY | O_NONBLOCK | O_NOCTTY |
					 O_CLOEXEC);
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

static void
read_stamp(const char *path, int flags, struct staple_stamp *stamp)
{
	struct stat status;

	*stamp = (struct staple_stamp){ 0 };
	if ((flags == 0 ? file_stat(path, &status)
			: fstatat(AT_FDCWD, path, &status, flags)) != 0)
		return;
	stamp->device = status.st_dev;
	stamp->inode = status.st_ino;
	stamp->size = (uint64_t)status.st_size;
	/* Unsigned: an mtime may be centuries away, and only differ. */
	stamp->modified_ns = (int64_t)((uint64_t)status.st_mtim.tv_sec *
					   1000000000 +
				       (uint64_t)status.st_mtim.tv_nsec);
}

void
staple_file_stamp(const char *path, struct staple_stamp *stamp)
{
	read_stamp(path, 0, stamp);
}

void
staple_store_stamp(
    struct staple_store *store, const char *id, struct staple_stamp *stamp)
{
	char *path = full_path(store, id, NULL);

	*stamp = (struct staple_stamp){ 0 };
	if (path != NULL)
		read_stamp(path, AT_SYMLINK_NOFOLLOW, stamp);
	free(path);
}

/* ---- writing ---- */

/* Without randomness from the kernel, the time distinguishes processes. */
static uint64_t
random_bits(void)
{
	uint64_t bits;

	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) == sizeof(bits))
		return bits;
	return (uint64_t)getpid() << 40 ^ (uint64_t)clock_mono_ms();
}

/* A file of a name that no other process or thread writes to. */
static int
create(int folder, const char *id, char aside[static ASIDE_SIZE])
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	uint64_t bits = random_bits();
	int fd = -1;

	for (unsigned i = 0; fd < 0 && i < NAMES_MAX; i++) {
		snprintf(aside, ASIDE_SIZE, ".%s.%0*llx" ASIDE_END, id,
		    RANDOM_LEN, (unsigned long long)bits + i);
		fd = openat(folder, aside, flags, 0600);
		if (fd < 0 && errno != EEXIST)
			return -1;
	}
	if (fd >= 0)
		pass_on(fd, folder, ".");
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

static bool
replace(int folder, const char *id, const unsigned char *data, size_t len)
{
	char aside[ASIDE_SIZE];
	int fd = create(folder, id, aside), errnum;
	bool ok;

	if (fd < 0)
		return false;
	ok = write_fully(fd, data, len) &&
	     renameat(folder, aside, folder, id) == 0;
	errnum = errno;
	close(fd);
	if (!ok)
		unlinkat(folder, aside, 0);
	errno = errnum;
	/* EINVAL: the file system cannot sync folders. */
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
	if (folder < 0 && errno == ENOENT && store->is_made_late &&
	    make_folder(store->path, true, NULL))
		folder = open_folder(store->path);
	ok = folder >= 0 && replace(folder, id, data, len);
	if (!ok)
		complain(err, "write", path, errno);
	if (folder >= 0)
		close(folder);
	free(path);
	return ok;
}

/* ---- claims ---- */

struct staple_claim {
	int fd;
	off_t at; /* the byte that is locked */
};

/* It stays when it is no longer needed: removing it would let two processes
 * lock two files. */
static int
open_locks(const struct staple_store *store)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int folder = open_folder(store->path), fd;

	if (folder < 0)
		return -1;
	fd = openat(folder, LOCKS, flags);
	if (fd < 0 && errno == ENOENT) {
		fd = openat(folder, LOCKS, flags | O_CREAT | O_EXCL, 0600);
		if (fd >= 0)
			pass_on(fd, folder, ".");
		else if (errno == EEXIST)
			fd = openat(folder, LOCKS, flags);
	}
	close(folder);
	return fd;
}

/* Into fd, or out of it (F_UNLCK). */
static bool
lock_byte(int fd, short type, off_t at)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1
	};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* The first 60 bits of a SHA-256. */
static off_t
byte_of(const char *id)
{
	char digits[16];

	snprintf(digits, sizeof(digits), "%s", id);
	return (off_t)strtoull(digits, NULL, 16);
}

bool
staple_store_claim(
    struct staple_store *store, const char *id, struct staple_claim **claim)
{
	int fd = open_locks(store);
	bool is_taken;

	*claim = NULL;
	if (fd < 0)
		return true;
	if (!lock_byte(fd, F_WRLCK, byte_of(id))) {
		is_taken = errno == EAGAIN || errno == EACCES;
		close(fd);
		return !is_taken;
	}
	*claim = malloc(sizeof(**claim));
	if (*claim == NULL)
		close(fd);
	else
		**claim = (struct staple_claim){ fd, byte_of(id) };
	return true;
}

/* Unlocked before it is closed: a process that was forked meanwhile has the
 * same open file description. */
void
staple_claim_release(struct staple_claim *claim)
{
	if (claim == NULL)
		return;
	(void)lock_byte(claim->fd, F_UNLCK, claim->at);
	close(claim->fd);
	free(claim);
}

/* ---- sweeping ---- */

struct staple_sweep {
	struct staple_store *store; /* owned reference */
	DIR *entries;
	int64_t now_s;
	staple_known_fn *known;
	void *arg;
};

struct staple_sweep *
staple_sweep_open(struct staple_store *store, int64_t now_s,
    staple_known_fn *known, void *arg)
{
	struct staple_sweep *sweep = calloc(1, sizeof(*sweep));
	DIR *entries = opendir(store->path);

	if (sweep == NULL || entries == NULL) {
		if (entries != NULL)
			closedir(entries);
		free(sweep);
		return NULL;
	}
	*sweep = (struct staple_sweep){ .store = staple_store_ref(store),
		.entries = entries,
		.now_s = now_s,
		.known = known,
		.arg = arg };
	return sweep;
}

void
staple_sweep_close(struct staple_sweep *sweep)
{
	if (sweep == NULL)
		return;
	closedir(sweep->entries);
	staple_store_close(sweep->store);
	free(sweep);
}

/* A name of create, or the one of earlier versions without a random part. */
static bool
is_aside(const char *name)
{
	static const char digits[] = "0123456789abcdef";
	size_t random;

	if (*name++ != '.' || strspn(name, digits) != ID_LEN)
		return false;
	name += ID_LEN;
	if (strcmp(name, ASIDE_END) == 0)
		return true;
	random = *name == '.' ? strspn(name + 1, digits) : 0;
	return random == RANDOM_LEN &&
	       strcmp(name + 1 + RANDOM_LEN, ASIDE_END) == 0;
}

/* How old a regular file is; false: it is none. */
static bool
read_age(const struct staple_sweep *sweep, const char *name, int64_t *age_s)
{
	struct stat status;

	if (fstatat(dirfd(sweep->entries), name, &status,
		AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(status.st_mode))
		return false;
	*age_s = sweep->now_s - status.st_mtim.tv_sec;
	return true;
}

/* Unless another process has just claimed or written it. */
static void
remove_unknown(struct staple_sweep *sweep, const char *id)
{
	struct staple_claim *claim;
	int64_t age_s;

	if (!staple_store_claim(sweep->store, id, &claim))
		return;
	if (read_age(sweep, id, &age_s) && age_s > sweep->store->unknown_s)
		(void)unlinkat(dirfd(sweep->entries), id, 0);
	staple_claim_release(claim);
}

/* Once a day, however often it is used. */
static void
mark(int folder, const char *name, int64_t age_s)
{
	static const struct timespec now[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_nsec = UTIME_NOW } };

	if (age_s > DAY_S || age_s < -DAY_S)
		(void)utimensat(folder, name, now, AT_SYMLINK_NOFOLLOW);
}

void
staple_store_mark(struct staple_store *store, const char *id, int64_t now_s)
{
	int folder = open_folder(store->path);
	struct stat status;

	if (folder < 0)
		return;
	if (is_id(id) &&
	    fstatat(folder, id, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(status.st_mode))
		mark(folder, id, now_s - status.st_mtim.tv_sec);
	close(folder);
}

static void
sweep_entry(struct staple_sweep *sweep, const char *name)
{
	bool is_temporary = is_aside(name);
	int64_t age_s;

	if ((!is_temporary && !is_id(name)) || !read_age(sweep, name, &age_s))
		return;
	if (is_temporary) {
		if (age_s > HOUR_S)
			(void)unlinkat(dirfd(sweep->entries), name, 0);
	} else if (sweep->known != NULL && sweep->known(sweep->arg, name)) {
		mark(dirfd(sweep->entries), name, age_s);
	} else if (age_s > sweep->store->unknown_s) {
		remove_unknown(sweep, name);
	}
}

bool
staple_sweep_step(struct staple_sweep *sweep)
{
	const struct dirent *entry;

	for (int i = 0; i < SWEPT_AT_ONCE; i++) {
		entry = readdir(sweep->entries);
		if (entry == NULL)
			return false;
		sweep_entry(sweep, entry->d_name);
	}
	return true;
}
