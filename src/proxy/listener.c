/*
 * The listening sockets of one accept= line: opened or adopted, and from then
 * on immutable.  Main thread opens; any thread may read; the last reference
 * closes.
 *
 * Three decisions.  The kernel lets any process of the same user join a
 * SO_REUSEPORT group, without an error, and gives it half the clients: so a
 * plain socket is bound and closed first, which fails if the address is in use.
 * At the path of a unix socket a file is examined only after bind failed, and
 * removed only after connect was refused.  And the mode of that file is set
 * twice: on the descriptor before bind, so that the file never has a wider one,
 * and on the file before listen, because bind also subtracts the umask, which
 * is the whole process's and is left alone.
 */
#include "proxy/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bind.h"
#include "base/err.h"
#include "base/file.h"

/* ---- options of TCP sockets ---- */

static bool
set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* The kernel's MAX_TCP_KEEPIDLE. */
#define KEEPIDLE_MAX_S 32767

void
socket_set_nodelay(int fd)
{
	(void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void
socket_set_keepalive(int fd, uint32_t keepalive_ms)
{
	uint32_t seconds = keepalive_ms / 1000 + (keepalive_ms % 1000 != 0);

	(void)set_option(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
	if (seconds > KEEPIDLE_MAX_S)
		seconds = KEEPIDLE_MAX_S;
	if (seconds > 0)
		(void)set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)seconds);
}

/* ---- the listener ---- */

struct listener {
	atomic_uint references;

	/* fixed at creation */
	struct addr asked;
	struct addr got;
	bool any_family;
	bool v6only;
	bool inherited;
	bool continued;        /* opened for another number of threads */
	char device[IFNAMSIZ]; /* "": any */
	dev_t dev;             /* of the file of a unix socket... */
	ino_t ino;             /* ...that we made; 0: none */
	atomic_bool shared;    /* with another process */
	size_t count;          /* fewer than threads: some share a socket */
	int fds[];
};

static struct listener *
new_listener(size_t count, struct err *err)
{
	struct listener *listener;

	listener = calloc(
	    1, sizeof(*listener) + count * sizeof(listener->fds[0]));
	if (listener == NULL) {
		err_set(err, "no memory for a listening socket");
		return NULL;
	}
	atomic_init(&listener->references, 1);
	listener->count = count;
	for (size_t i = 0; i < count; i++)
		listener->fds[i] = -1;
	return listener;
}

static void
close_sockets(struct listener *listener)
{
	for (size_t i = 0; i < listener->count; i++) {
		if (listener->fds[i] >= 0)
			close(listener->fds[i]);
		listener->fds[i] = -1;
	}
}

/* ---- unix sockets ---- */

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
new_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* 0: a process listens there; else the errno. */
static int
try_connect(const struct addr *addr)
{
	int fd = new_unix_socket();
	int errnum;

	if (fd < 0)
		return errno;
	errnum = connect(fd, &addr->sa, addr->len) == 0 ? 0 : errno;
	close(fd);
	return errnum == EAGAIN ? 0 : errnum; /* its queue is full */
}

/* Remove the file in the way of bind if it is a stale socket. */
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
		    "unix:%s: a file that is not a socket is in the way: "
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
		    "unix:%s: cannot find out whether the socket there is "
		    "in use",
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

/* In a folder where this process may not write, the fallback of bind_unix()
 * binds another socket. */
static bool
bind_elsewhere(
    struct listener *listener, const struct listener_options *options)
{
	int fd = bind_unix(&listener->asked, options->unix_mode);

	if (fd < 0)
		return false;
	close(listener->fds[0]);
	listener->fds[0] = fd;
	return true;
}

static bool
bind_path(struct listener *listener, const struct listener_options *options,
    struct err *err)
{
	const struct addr *addr = &listener->asked;
	struct path path = path_of(addr);
	int fd = listener->fds[0], errnum;

	if (bind(fd, &addr->sa, addr->len) == 0)
		return true;
	errnum = errno;
	if ((errnum == EACCES || errnum == EADDRINUSE) &&
	    bind_elsewhere(listener, options))
		return true;
	errno = errnum;
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
note_file(struct listener *listener, struct err *err)
{
	struct path path = path_of(&listener->asked);
	struct stat st;

	if (file_lstat(path.text, &st) < 0) {
		err_set_errno(err, errno, "unix:%s", path.text);
		return false;
	}
	listener->dev = st.st_dev;
	listener->ino = st.st_ino;
	return true;
}

/* Is the file at the path the one that we made? */
static bool
is_our_file(const struct listener *listener)
{
	struct path path = path_of(&listener->asked);
	struct stat st;

	return listener->ino != 0 && file_lstat(path.text, &st) == 0 &&
	       st.st_dev == listener->dev && st.st_ino == listener->ino;
}

static bool
set_file_mode(const struct listener *listener, unsigned mode, struct err *err)
{
	struct path path = path_of(&listener->asked);

	/* The path may be a link to another file by now: do not follow it. */
	if (fchmodat(AT_FDCWD, path.text, mode, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	err_set_errno(
	    err, errno, "unix:%s: cannot set unix_mode %04o", path.text, mode);
	return false;
}

/* Before the socket is closed: until then its inode is not used again. */
static void
remove_our_file(const struct listener *listener)
{
	struct path path = path_of(&listener->asked);

	/* On failure the next process finds a stale socket and removes it. */
	if (!listener_is_shared(listener) && is_our_file(listener))
		(void)unlink(path.text);
}

static bool
open_unix(struct listener *listener, const struct listener_options *options,
    struct err *err)
{
	const struct addr *addr = &listener->asked;
	char text[ADDR_TEXT_MAX];
	int fd = new_unix_socket();

	listener->fds[0] = fd;
	if (fd < 0 || fchmod(fd, options->unix_mode) < 0) {
		err_set_errno(err, errno, "%s: no socket",
		    addr_print(addr, text, sizeof(text)));
		return false;
	}
	if (!bind_path(listener, options, err) || !note_file(listener, err) ||
	    !set_file_mode(listener, options->unix_mode, err))
		return false;
	fd = listener->fds[0];
	if (listen(fd, (int)options->backlog) < 0) {
		err_set_errno(err, errno, "%s: cannot listen",
		    addr_print(addr, text, sizeof(text)));
		return false;
	}
	return true;
}

/* ---- TCP sockets ---- */

/*
 * One bound socket; -1 with errno.  All have SO_REUSEADDR: connections of an
 * earlier process that drains must not make the address count as in use, and
 * the kernel requires the option on both sides.
 */
static int
bind_socket(const struct addr *addr, const struct listener_options *options,
    bool in_group)
{
	struct bind_options how = {
		.in_group = in_group,
		.v6only = options->v6only,
		.free_bind = options->bind_early,
	};

	/* A longer name would be cut, perhaps to that of another device. */
	if (options->device != NULL && strlen(options->device) >= IFNAMSIZ) {
		errno = ENODEV;
		return -1;
	}
	if (options->device != NULL)
		strcpy(how.device, options->device);
	return bind_tcp(addr, &how);
}

/* 0: the address is free; else the errno. */
static int
probe(const struct addr *addr, const struct listener_options *options)
{
	int fd = bind_socket(addr, options, false);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Set the port of addr to the one the kernel chose. */
static bool
read_port(int fd, struct addr *addr)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	struct addr bound;

	if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		return false;
	addr_from_sockaddr(&bound, (struct sockaddr *)&name, len);
	addr_set_port(addr, addr_port(&bound));
	return true;
}

/* One socket per thread at listener->got; 0 or the errno of the failure. */
static int
open_group(struct listener *listener, const struct listener_options *options)
{
	struct addr *addr = &listener->got;
	int errnum = 0;

	if (addr_port(addr) != 0 && !options->port_is_ours)
		errnum = probe(addr, options);
	if (errnum != 0)
		return errnum;
	for (size_t i = 0; i < listener->count; i++) {
		int fd = bind_socket(addr, options, true);

		listener->fds[i] = fd;
		if (fd < 0 || (addr_port(addr) == 0 && !read_port(fd, addr)))
			return errno;
		socket_set_nodelay(fd);
		if (listen(fd, (int)options->backlog) < 0)
			return errno;
	}
	return 0;
}

static void
explain(int errnum, const struct addr *addr,
    const struct listener_options *options, struct err *err)
{
	char text[ADDR_TEXT_MAX];

	addr_print(addr, text, sizeof(text));
	if (errnum == EADDRINUSE)
		err_set(err,
		    "address %s is already in use: another process listens "
		    "there (ss -ltnp shows which)",
		    text);
	else if (errnum == EACCES)
		err_set(err,
		    "address %s: not permitted: a low port needs root (and "
		    "user= to drop it again) or CAP_NET_BIND_SERVICE",
		    text);
	else if (errnum == EADDRNOTAVAIL)
		err_set(err,
		    "address %s does not belong to this machine (ip address "
		    "shows those that do; bind_early = yes if it comes later)",
		    text);
	else if (errnum == ENODEV && options->device != NULL)
		err_set(err,
		    "address %s: no network device \"%.32s\" (ip link shows "
		    "those there are)",
		    text, options->device);
	else if (errnum == EAFNOSUPPORT)
		err_set(err,
		    "address %s: the kernel does not support its family (is "
		    "IPv6 disabled?)",
		    text);
	else
		err_set_errno(err, errnum, "address %s: cannot listen", text);
}

static bool
open_tcp(struct listener *listener, const struct listener_options *options,
    bool *v4_only, struct err *err)
{
	int errnum = open_group(listener, options);

	if (listener->any_family && !options->v6only &&
	    (errnum == EAFNOSUPPORT || errnum == EADDRNOTAVAIL)) {
		uint16_t port = addr_port(&listener->asked);

		close_sockets(listener);
		listener->got = (struct addr){ .len = sizeof(
						   struct sockaddr_in) };
		listener->got.in.sin_family = AF_INET;
		addr_set_port(&listener->got, port);
		errnum = open_group(listener, options);
		if (v4_only != NULL)
			*v4_only = true;
	}
	if (errnum != 0)
		explain(errnum, &listener->got, options, err);
	return errnum == 0;
}

/* ---- open, adopt, release ---- */

struct listener *
listener_open(const struct config_accept *accept,
    const struct listener_options *options, bool *v4_only, struct err *err)
{
	bool is_unix = addr_is_unix(&accept->addr);
	struct listener *listener;

	if (v4_only != NULL)
		*v4_only = false;
	listener = new_listener(is_unix ? 1 : options->threads, err);
	if (listener == NULL)
		return NULL;
	listener->asked = accept->addr;
	listener->got = accept->addr;
	listener->any_family = accept->any_family;
	listener->v6only = options->v6only;
	if (options->device != NULL)
		snprintf(listener->device, sizeof(listener->device), "%s",
		    options->device);
	if (is_unix ? open_unix(listener, options, err)
		    : open_tcp(listener, options, v4_only, err))
		return listener;
	listener_unref(listener);
	return NULL;
}

static bool
is_listening_stream(int fd, struct err *err)
{
	int type = 0, listening = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
		err_set_errno(
		    err, errno, "inherited descriptor %d is no socket", fd);
		return false;
	}
	len = sizeof(listening);
	(void)getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len);
	if (type == SOCK_STREAM && listening)
		return true;
	err_set(err,
	    "inherited descriptor %d is not a listening stream socket "
	    "(systemd: ListenStream= and Accept=no)",
	    fd);
	return false;
}

static bool
adopt_socket(int fd, struct addr *addr, struct err *err)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);

	if (!is_listening_stream(fd, err))
		return false;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ||
	    getsockname(fd, (struct sockaddr *)&name, &len) < 0) {
		err_set_errno(err, errno, "inherited descriptor %d", fd);
		return false;
	}
	addr_from_sockaddr(addr, (struct sockaddr *)&name, len);
	if (addr->len == 0) {
		err_set(
		    err, "inherited descriptor %d is neither TCP nor unix", fd);
		return false;
	}
	if (!addr_is_unix(addr))
		socket_set_nodelay(fd);
	return true;
}

struct listener *
listener_adopt(int fd, struct err *err)
{
	struct listener *listener;
	struct addr addr;

	if (!adopt_socket(fd, &addr, err))
		goto fail;
	listener = new_listener(1, err);
	if (listener == NULL)
		goto fail;
	listener->asked = addr;
	listener->got = addr;
	listener->inherited = true;
	listener->fds[0] = fd;
	return listener;
fail:
	close(fd);
	return NULL;
}

/* ---- another process ---- */

struct listener_state
listener_state(const struct listener *listener)
{
	struct listener_state state = {
		.asked = listener->asked,
		.any_family = listener->any_family,
		.v6only = listener->v6only,
		.inherited = listener->inherited,
		.dev = listener->dev,
		.ino = listener->ino,
	};

	memcpy(state.device, listener->device, sizeof(state.device));
	return state;
}

static void
close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

struct listener *
listener_continue(const struct listener_state *state, const int *fds,
    size_t count, struct err *err)
{
	struct listener *listener = new_listener(count, err);
	struct addr bound = { .len = 0 };

	if (listener == NULL) {
		close_all(fds, count);
		return NULL;
	}
	memcpy(listener->fds, fds, count * sizeof(fds[0]));
	listener->asked = state->asked;
	listener->any_family = state->any_family;
	listener->v6only = state->v6only;
	listener->inherited = state->inherited;
	listener->continued = true;
	memcpy(listener->device, state->device, sizeof(listener->device));
	listener->dev = state->dev;
	listener->ino = state->ino;
	listener_set_shared(listener, true);
	for (size_t i = 0; i < count; i++)
		if (!adopt_socket(fds[i], &bound, err)) {
			listener_unref(listener);
			return NULL;
		}
	/* The kernel may show another form of a path. */
	listener->got = addr_is_unix(&bound) ? state->asked : bound;
	return listener;
}

void
listener_set_shared(struct listener *listener, bool shared)
{
	atomic_store_explicit(&listener->shared, shared, memory_order_relaxed);
}

bool
listener_is_shared(const struct listener *listener)
{
	return atomic_load_explicit(&listener->shared, memory_order_relaxed);
}

bool
listener_is_open_elsewhere(const struct listener *listener)
{
	return listener->inherited || listener_is_shared(listener);
}

struct listener *
listener_ref(struct listener *listener)
{
	atomic_fetch_add_explicit(
	    &listener->references, 1, memory_order_relaxed);
	return listener;
}

void
listener_unref(struct listener *listener)
{
	if (listener == NULL || atomic_fetch_sub_explicit(&listener->references,
				    1, memory_order_acq_rel) != 1)
		return;
	remove_our_file(listener);
	close_sockets(listener);
	free(listener);
}

const struct addr *
listener_asked(const struct listener *listener)
{
	return &listener->asked;
}

const struct addr *
listener_address(const struct listener *listener)
{
	return &listener->got;
}

bool
listener_is_inherited(const struct listener *listener)
{
	return listener->inherited;
}

int
listener_fd(const struct listener *listener, unsigned thread)
{
	assert(listener->count == 1 || listener->continued ||
	       thread < listener->count);
	return listener->fds[thread % listener->count];
}

const int *
listener_fds(const struct listener *listener, size_t *count)
{
	*count = listener->count;
	return listener->fds;
}

bool
listener_matches(const struct listener *listener,
    const struct config_accept *accept, const struct listener_options *options)
{
	bool is_unix = addr_is_unix(&accept->addr);

	if (!addr_equal(&listener->asked, &accept->addr))
		return false;
	if (listener->inherited)
		return true; /* the service manager set its options */
	if (is_unix)
		return is_our_file(listener);
	return listener->any_family == accept->any_family &&
	       listener->v6only == options->v6only &&
	       strcmp(listener->device,
		   options->device ? options->device : "") == 0 &&
	       (listener->continued || listener->count == options->threads);
}

bool
listener_overlaps(
    const struct listener *listener, const struct config_accept *accept)
{
	return addr_port(&accept->addr) != 0 &&
	       addr_port(&listener->got) == addr_port(&accept->addr);
}

bool
listener_set_mode(
    struct listener *listener, unsigned unix_mode, struct err *err)
{
	if (!is_our_file(listener))
		return true;
	return set_file_mode(listener, unix_mode, err);
}
