/*
 * Bound sockets, here or by a fallback.  Main thread, and the opener's process.
 *
 * Every TCP socket comes from the fallback while there is one, and not only
 * those that this process may not bind: a SO_REUSEPORT group has one user, and
 * which group a port belongs to is not visible here.
 */
#include "base/bind.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static struct {
	struct bind_fallback fallback;
	bool has_fallback;
} setup;

void
bind_set_fallback(const struct bind_fallback *fallback)
{
	setup.has_fallback = fallback != NULL;
	if (fallback != NULL)
		setup.fallback = *fallback;
}

static bool
set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static bool
set_options(int fd, const struct addr *addr, const struct bind_options *options)
{
	bool v6 = addr->sa.sa_family == AF_INET6;

	if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return false;
	if (options->in_group && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return false;
	if (v6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6only))
		return false;
	if (options->free_bind &&
	    !set_option(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		v6 ? IPV6_FREEBIND : IP_FREEBIND, 1))
		return false;
	return options->device[0] == '\0' ||
	       setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options->device,
		   (socklen_t)strlen(options->device)) == 0;
}

int
bind_tcp_here(const struct addr *addr, const struct bind_options *options)
{
	int fd;

	fd = socket(
	    addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (set_options(fd, addr, options) &&
	    bind(fd, &addr->sa, addr->len) == 0)
		return fd;
	file_close(fd);
	return -1;
}

int
bind_tcp(const struct addr *addr, const struct bind_options *options)
{
	int fd;

	if (setup.has_fallback && geteuid() != 0) {
		fd = setup.fallback.tcp(setup.fallback.arg, addr, options);
		if (fd >= 0 || errno != ENOTCONN)
			return fd;
	}
	return bind_tcp_here(addr, options);
}

int
bind_unix(const struct addr *addr, unsigned mode)
{
	if (setup.has_fallback && geteuid() != 0)
		return setup.fallback.unix_socket(
		    setup.fallback.arg, addr, mode);
	errno = EACCES;
	return -1;
}
