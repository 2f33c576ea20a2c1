/*
 * A file that holds secrets, read in one go.  Main thread.  Its size is that
 * of the moment it was opened: what grows under our hands is cut, and whoever
 * parses it will say so.
 */
#include "tls/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/err.h"

static bool
check_stat(const struct stat *st, const char *path,
    const struct secret_kind *kind, struct err *err)
{
	if (S_ISDIR(st->st_mode)) {
		err_set(err, "%s is a directory, not a %s", path, kind->name);
		return false;
	}
	if (!S_ISREG(st->st_mode)) {
		err_set(err, "%s is not a regular file", path);
		return false;
	}
	if (st->st_size == 0) {
		err_set(err, "%s is empty", path);
		return false;
	}
	if ((size_t)st->st_size > kind->max_bytes) {
		err_set(err, "%s is larger than %zu MiB: no %s", path,
		    kind->max_bytes >> 20, kind->name);
		return false;
	}
	return true;
}

/* len is what fstat said; a file that has shrunk since ends earlier. */
static bool
fill(struct secret *secret, int fd, const char *path, struct err *err)
{
	size_t max = secret->len;
	ssize_t n = 1;

	secret->len = 0;
	while (n > 0 && secret->len < max) {
		n = read(fd, secret->data + secret->len, max - secret->len);
		if (n > 0)
			secret->len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0)
		err_set_errno(err, errno, "cannot read %s", path);
	return n >= 0;
}

bool
secret_read(struct secret *secret, const char *path,
    const struct secret_kind *kind, struct err *err)
{
	/* O_NONBLOCK: opening a FIFO must not hang the start. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	bool ok = false;

	*secret = (struct secret){ 0 };
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set_errno(err, errno, "cannot read %s", path);
		goto out;
	}
	if (!check_stat(&st, path, kind, err))
		goto out;
	secret->mode = st.st_mode & 07777;
	secret->len = (size_t)st.st_size;
	secret->data = OPENSSL_zalloc(secret->len);
	if (secret->data == NULL) {
		err_set(err, "out of memory reading %s", path);
		goto out;
	}
	ok = fill(secret, fd, path, err);
out:
	if (fd >= 0)
		close(fd);
	return ok;
}

void
secret_wipe(struct secret *secret)
{
	OPENSSL_clear_free(secret->data, secret->len);
	*secret = (struct secret){ 0 };
}

bool
secret_check_mode(const char *what, const char *path, unsigned mode,
    enum config_key_permissions permissions, struct err *sentence)
{
	err_set(sentence, "%s", "");
	if (permissions == KEYS_ANY || (mode & 0007) == 0)
		return true;
	err_set(sentence,
	    "%s in %s can be used by every user (mode %04o); chmod o= %s", what,
	    path, mode, path);
	return permissions != KEYS_REFUSE;
}
