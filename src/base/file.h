/*
 * Opening the files that a configuration names.  Each function first makes the
 * plain call.  If that fails with EACCES or EPERM and a fallback is registered
 * (the privileged opener), the fallback is tried.
 *
 * Any thread.  The fallback is registered before the first thread starts.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;

/* The calls behave as the plain ones: -1 and errno.  They may set the reason of
 * a refusal (file_set_reason). */
struct file_fallback {
	int (*open)(void *arg, const char *path);
	int (*open_folder)(void *arg, const char *path);
	int (*open_log)(void *arg, const char *path);
	int (*stat)(
	    void *arg, const char *path, bool follow, struct stat *status);
	void *arg;
};

/* Copied; NULL: none. */
void file_set_fallback(const struct file_fallback *fallback);

bool file_has_fallback(void);

/* Open for reading, never blocking: a FIFO without a writer is opened at
 * once. */
int file_open(const char *path) MUST_CHECK;

/* Can file_open() open it now?  false: errno. */
bool file_is_readable(const char *path) MUST_CHECK;

/* As stat() and lstat(). */
int file_stat(const char *path, struct stat *status) MUST_CHECK;
int file_lstat(const char *path, struct stat *status) MUST_CHECK;

/* As opendir(). */
DIR *file_open_folder(const char *path) MUST_CHECK;

/* As scandir(). */
int file_scan(const char *path, struct dirent ***entries,
    int (*filter)(const struct dirent *),
    int (*compare)(const struct dirent **, const struct dirent **)) MUST_CHECK;

/* Open a log for appending; made with mode 0640.  ENXIO: a FIFO without a
 * reader. */
#define FILE_LOG_FLAGS \
	(O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
#define FILE_LOG_MODE 0640
int file_open_log(const char *path) MUST_CHECK;

/*
 * The owner of logs that a root process opens by the plain call: it drops its
 * privileges later and reopens them.  Only a regular file with one link gets the
 * owner, and none through a symlink.
 */
void file_set_log_owner(uid_t uid, gid_t gid);

/* As close() after a call that failed: errno stays. */
void file_close(int fd);

/* ---- The reason of a refusal ---- */

/* Why the kernel may have denied this path: a static sentence; NULL: not known.
 * is_written: it is a log. */
typedef const char *file_denial_fn(
    void *arg, const char *path, bool is_written);

/* For a call above that fails with EACCES and was not explained by a fallback;
 * NULL: none. */
void file_set_denial(file_denial_fn *denial, void *arg);

/* A static sentence for the calling thread, by a fallback that refuses.  Each
 * call that opens or examines a file clears it. */
void file_set_reason(const char *sentence);

/* Append " (reason)" to the text if the last of these calls on this thread was
 * refused for a reason.  Returns false, as err_set does. */
bool file_explain(struct err *err);

#endif
