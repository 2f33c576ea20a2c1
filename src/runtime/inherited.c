/*
 * LISTEN_FDS, from environment to descriptors.  Main thread, once, before
 * anything else is opened.  The variables are removed whether or not they
 * were meant for us: they must not leak to whatever we might ever start.
 */
#include "runtime/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"

#define FIRST_FD 3 /* sd_listen_fds(3) */
#define FDS_MAX 1024L

struct socket_given {
	int fd; /* -1: taken */
	char *name;
	struct addr addr;
};

struct inherited {
	struct socket_given *items;
	size_t count;
};

static bool
parse_number(const char *text, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, 10);
	return end != text && *end == '\0' && errno == 0;
}

/* How many were given to this process; 0: none, -1 and *err: nonsense. */
static long
count_given(struct err *err)
{
	const char *pid = getenv("LISTEN_PID");
	const char *fds = getenv("LISTEN_FDS");
	long number;

	if (pid == NULL || fds == NULL)
		return 0;
	if (!parse_number(pid, &number) || number != (long)getpid())
		return 0;
	if (!parse_number(fds, &number) || number < 0 || number > FDS_MAX) {
		err_set(err, "LISTEN_FDS=%s is no number of sockets", fds);
		return -1;
	}
	return number;
}

/* The next name of a list separated by colons; "" when there is none left. */
static char *
next_name(const char **names)
{
	size_t length = strcspn(*names, ":");
	char *name = strndup(*names, length);

	*names += length;
	if (**names == ':')
		(*names)++;
	return name;
}

static bool
look_at(struct socket_given *given, int fd, struct err *err)
{
	struct sockaddr_storage storage;
	socklen_t length = sizeof(storage);
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
		err_set_errno(err, errno,
		    "LISTEN_FDS announces descriptor %d, which is not open",
		    fd);
		return false;
	}
	given->fd = fd;
	if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0) {
		err_set_errno(err, errno,
		    "LISTEN_FDS announces descriptor %d, which is no socket",
		    fd);
		return false;
	}
	addr_from_sockaddr(
	    &given->addr, (const struct sockaddr *)&storage, length);
	return true;
}

static bool
collect(struct inherited *inherited, size_t count, struct err *err)
{
	const char *names = getenv("LISTEN_FDNAMES");
	size_t i;

	if (names == NULL)
		names = "";
	inherited->items = calloc(count, sizeof(inherited->items[0]));
	if (inherited->items == NULL)
		goto fail;
	for (i = 0; i < count; i++) {
		inherited->items[i].fd = -1;
		inherited->count = i + 1;
		inherited->items[i].name = next_name(&names);
		if (inherited->items[i].name == NULL)
			goto fail;
		if (!look_at(&inherited->items[i], FIRST_FD + (int)i, err))
			return false;
	}
	return true;

fail:
	err_set(err, "out of memory for inherited sockets");
	return false;
}

struct inherited *
inherited_collect(struct err *err)
{
	struct inherited *inherited;
	long count = count_given(err);

	if (count < 0)
		return NULL;
	inherited = calloc(1, sizeof(*inherited));
	if (inherited == NULL) {
		err_set(err, "out of memory for inherited sockets");
		return NULL;
	}
	if (count > 0 && !collect(inherited, (size_t)count, err)) {
		inherited_free(inherited, NULL);
		return NULL;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return inherited;
}

size_t
inherited_count(const struct inherited *inherited)
{
	size_t i, count = 0;

	if (inherited == NULL)
		return 0;
	for (i = 0; i < inherited->count; i++)
		count += inherited->items[i].fd >= 0;
	return count;
}

static bool
fits(
    const struct socket_given *given, const char *name, const struct addr *addr)
{
	if (given->fd < 0)
		return false;
	if (name)
		return strcmp(given->name, name) == 0;
	return addr_equal(&given->addr, addr);
}

int
inherited_take(
    struct inherited *inherited, const char *name, const struct addr *addr)
{
	size_t i;
	int fd;

	if (inherited == NULL)
		return -1;
	for (i = 0; i < inherited->count; i++) {
		if (!fits(&inherited->items[i], name, addr))
			continue;
		fd = inherited->items[i].fd;
		inherited->items[i].fd = -1;
		return fd;
	}
	return -1;
}

void
inherited_free(struct inherited *inherited, struct log *log)
{
	char text[ADDR_TEXT_MAX];
	struct socket_given *given;
	size_t i;

	if (inherited == NULL)
		return;
	for (i = 0; i < inherited->count; i++) {
		given = &inherited->items[i];
		if (given->fd >= 0) {
			log_warning(log, "process",
			    "inherited socket fits no listener and is closed",
			    LOG_S("name", given->name),
			    LOG_S("address",
				addr_print(&given->addr, text, sizeof(text))));
			close(given->fd);
		}
		free(given->name);
	}
	free(inherited->items);
	free(inherited);
}
