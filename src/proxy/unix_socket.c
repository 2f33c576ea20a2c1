/*
 * A listening unix socket and the file that names it.  Two decisions.  What is
 * in the way is looked at only after bind failed, and removed only after
 * connect said that nobody listens.  And the mode is set twice: on the
 * descriptor before bind, so that the file is never wider than asked, and on
 * the file before listen, because bind also subtracts the umask, which belongs
 * to the whole process and is left alone.
 * Main thread.
 */
#include "proxy/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* sun_path need not end with a zero when it is full. */
struct path {
	char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
};

static struct path
path_of(const struct addr *addr)
{
	struct path path = { { 0 } };

	for (size_t i = 0; i < sizeof(addr->un.sun_path); i++)
		path.text[i] = addr->un.sun_path[i];
	return path;
}

static int
open_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* 0: somebody listens. */
static int
try_connect(const struct addr *addr)
{
	int fd = open_socket();
	int errnum;

	if (fd < 0)
		return errno;
	errnum = connect(fd, &addr->sa, addr->len) == 0 ? 0 : errno;
	close(fd);
	return errnum == EAGAIN ? 0 : errnum; /* a full queue is a listener */
}

/* Make room at a path where bind found something. */
static bool
remove_stale(const struct addr *addr, struct err *err)
{
	struct path path = path_of(addr);
	struct stat st;
	int errnum;

	if (lstat(path.text, &st) < 0) {
		if (errno == ENOENT)
			return true;
		err_set_errno(err, errno, "unix:%s", path.text);
		return false;
	}
	if (!S_ISSOCK(st.st_mode)) {
		err_set(err,
		    "unix:%s: something that is not a socket is in the way; "
		    "remove it or choose another path",
		    path.text);
		return false;
	}
	errnum = try_connect(addr);
	if (errnum == 0 || errnum == EPROTOTYPE) {
		err_set(err,
		    "address unix:%s is already in use: another process "
		    "listens there (ss -lxp shows which)",
		    path.text);
		return false;
	}
	if (errnum != ECONNREFUSED && errnum != ENOENT) {
		err_set_errno(err, errnum,
		    "unix:%s: cannot tell whether the socket there is in use",
		    path.text);
		return false;
	}
	if (unlink(path.text) < 0 && errno != ENOENT) {
		err_set_errno(err, errno,
		    "unix:%s: cannot remove the stale socket", path.text);
		return false;
	}
	return true;
}

static bool
bind_path(int fd, const struct addr *addr, struct err *err)
{
	struct path path = path_of(addr);

	if (bind(fd, &addr->sa, addr->len) == 0)
		return true;
	if (errno == EADDRINUSE) {
		if (!remove_stale(addr, err))
			return false;
		if (bind(fd, &addr->sa, addr->len) == 0)
			return true;
	}
	if (errno == ENOENT)
		err_set(err, "unix:%s: the folder does not exist", path.text);
	else
		err_set_errno(
		    err, errno, "unix:%s: cannot be created", path.text);
	return false;
}

static bool
note_inode(struct unix_socket *made, const struct addr *addr, struct err *err)
{
	struct path path = path_of(addr);
	struct stat st;

	if (lstat(path.text, &st) < 0) {
		err_set_errno(err, errno, "unix:%s", path.text);
		return false;
	}
	made->dev = st.st_dev;
	made->ino = st.st_ino;
	return true;
}

bool
unix_socket_open(struct unix_socket *made, const struct addr *addr,
    unsigned mode, unsigned backlog, struct err *err)
{
	char text[ADDR_TEXT_MAX];

	*made = (struct unix_socket){ .fd = open_socket() };
	if (made->fd < 0 || fchmod(made->fd, mode) < 0) {
		err_set_errno(err, errno, "%s: no socket",
		    addr_print(addr, text, sizeof(text)));
		goto fail;
	}
	if (!bind_path(made->fd, addr, err) || !note_inode(made, addr, err) ||
	    !unix_socket_set_mode(addr, mode, err))
		goto fail;
	if (listen(made->fd, (int)backlog) < 0) {
		err_set_errno(err, errno, "%s: cannot listen",
		    addr_print(addr, text, sizeof(text)));
		goto fail;
	}
	return true;
fail:
	unix_socket_close(made, addr);
	return false;
}

bool
unix_socket_is_ours(const struct unix_socket *made, const struct addr *addr)
{
	struct path path = path_of(addr);
	struct stat st;

	return made->ino != 0 && lstat(path.text, &st) == 0 &&
	       st.st_dev == made->dev && st.st_ino == made->ino;
}

bool
unix_socket_set_mode(const struct addr *addr, unsigned mode, struct err *err)
{
	struct path path = path_of(addr);

	/* A link put there meanwhile must not lead us to another file. */
	if (fchmodat(AT_FDCWD, path.text, mode, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	err_set_errno(
	    err, errno, "unix:%s: cannot set unix_mode %04o", path.text, mode);
	return false;
}

void
unix_socket_close(struct unix_socket *made, const struct addr *addr)
{
	struct path path = path_of(addr);

	if (made->fd < 0)
		return;
	/* Before close: as long as it is open nobody else gets its inode. */
	if (unix_socket_is_ours(made, addr))
		(void)unlink(path.text); /* a stale one is dealt with above */
	close(made->fd);
	made->fd = -1;
}
