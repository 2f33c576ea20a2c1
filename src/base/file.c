/*
 * Opening configured files, with a fallback for those that this process may not
 * open.  Any thread.
 *
 * The plain call comes first, so that a process whose files are readable never
 * waits for another one, and so that files work as before once the fallback
 * has gone.  The reason of a refusal is kept per thread, as errno is.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

/* Fixed before the first thread. */
static struct {
	struct file_fallback fallback;
	bool has_fallback;
	file_denial_fn *denial;
	void *denial_arg;
	bool has_owner;
	uid_t uid;
	gid_t gid;
} setup;

static _Thread_local const char *reason;

void
file_set_fallback(const struct file_fallback *fallback)
{
	setup.has_fallback = fallback != NULL;
	if (fallback != NULL)
		setup.fallback = *fallback;
}

bool
file_has_fallback(void)
{
	return setup.has_fallback;
}

void
file_set_denial(file_denial_fn *denial, void *arg)
{
	setup.denial = denial;
	setup.denial_arg = arg;
}

void
file_close(int fd)
{
	int errnum = errno;

	close(fd);
	errno = errnum;
}

void
file_set_log_owner(uid_t uid, gid_t gid)
{
	setup.has_owner = true;
	setup.uid = uid;
	setup.gid = gid;
}

void
file_set_reason(const char *sentence)
{
	reason = sentence;
}

bool
file_explain(struct err *err)
{
	if (err != NULL && reason != NULL)
		err_set(err, "%s (%s)", err->text, reason);
	return false;
}

/* After a plain call that failed: is the fallback to be tried? */
static bool
is_forbidden(void)
{
	return setup.has_fallback && (errno == EACCES || errno == EPERM);
}

/* Keeps errno. */
static void
note_denial(const char *path, bool is_written)
{
	int errnum = errno;

	if (errnum == EACCES && reason == NULL && setup.denial != NULL)
		reason = setup.denial(setup.denial_arg, path, is_written);
	errno = errnum;
}

int
file_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	reason = NULL;
	if (fd < 0 && is_forbidden())
		fd = setup.fallback.open(setup.fallback.arg, path);
	if (fd < 0)
		note_denial(path, false);
	return fd;
}

bool
file_is_readable(const char *path)
{
	int fd = file_open(path);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int
file_stat(const char *path, struct stat *status)
{
	int rc = stat(path, status);

	reason = NULL;
	if (rc != 0 && is_forbidden())
		rc = setup.fallback.stat(
		    setup.fallback.arg, path, true, status);
	return rc;
}

int
file_lstat(const char *path, struct stat *status)
{
	int rc = lstat(path, status);

	reason = NULL;
	if (rc != 0 && is_forbidden())
		rc = setup.fallback.stat(
		    setup.fallback.arg, path, false, status);
	return rc;
}

DIR *
file_open_folder(const char *path)
{
	DIR *folder = opendir(path);
	int fd;

	reason = NULL;
	if (folder != NULL)
		return folder;
	fd = is_forbidden()
		 ? setup.fallback.open_folder(setup.fallback.arg, path)
		 : -1;
	if (fd < 0) {
		note_denial(path, false);
		return NULL;
	}
	folder = fdopendir(fd);
	if (folder == NULL)
		file_close(fd);
	return folder;
}

static struct dirent *
copy_entry(const struct dirent *entry)
{
	struct dirent *copy = malloc(entry->d_reclen);

	if (copy != NULL)
		memcpy(copy, entry, entry->d_reclen);
	return copy;
}

/* Takes the entry; false: no memory. */
static bool
add_entry(struct dirent ***entries, int count, struct dirent *entry)
{
	struct dirent **grown = NULL;

	if (entry != NULL)
		grown = realloc(
		    *entries, ((size_t)count + 1) * sizeof(grown[0]));
	if (grown == NULL) {
		free(entry);
		return false;
	}
	*entries = grown;
	grown[count] = entry;
	return true;
}

int
file_scan(const char *path, struct dirent ***entries,
    int (*filter)(const struct dirent *),
    int (*compare)(const struct dirent **, const struct dirent **))
{
	DIR *folder = file_open_folder(path);
	const struct dirent *entry;
	int count = 0;

	*entries = NULL;
	if (folder == NULL)
		return -1;
	while ((entry = readdir(folder)) != NULL) {
		if (!filter(entry))
			continue;
		if (!add_entry(entries, count, copy_entry(entry)))
			goto fail;
		count++;
	}
	closedir(folder);
	if (count > 1)
		qsort(*entries, (size_t)count, sizeof((*entries)[0]),
		    (int (*)(const void *, const void *))compare);
	return count;

fail:
	while (count > 0)
		free((*entries)[--count]);
	free(*entries);
	*entries = NULL;
	closedir(folder);
	errno = ENOMEM;
	return -1;
}

/* At a start as root: the file that was opened, and no other, belongs to the
 * user from now on. */
static void
give_log(int fd, const char *path)
{
	struct stat opened, named;

	if (fstat(fd, &opened) == 0 && lstat(path, &named) == 0 &&
	    S_ISREG(opened.st_mode) && opened.st_nlink == 1 &&
	    opened.st_dev == named.st_dev && opened.st_ino == named.st_ino)
		/* Without it, reopening needs the fallback again. */
		(void)!fchown(fd, setup.uid, setup.gid);
}

int
file_open_log(const char *path)
{
	int fd = open(path, FILE_LOG_FLAGS, FILE_LOG_MODE);

	reason = NULL;
	if (fd >= 0 && setup.has_owner && geteuid() == 0)
		give_log(fd, path);
	if (fd < 0 && is_forbidden())
		fd = setup.fallback.open_log(setup.fallback.arg, path);
	if (fd < 0)
		note_denial(path, true);
	return fd;
}
