/*
 * sd_notify in forty lines, so that libsystemd is not linked in.  Main
 * thread.  The socket is opened anew for each message: there are few, and a
 * descriptor kept open could go stale over a re-exec of the service manager.
 */
#include "runtime/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static const char *
socket_path(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (path == NULL || (path[0] != '/' && path[0] != '@'))
		return NULL;
	return path;
}

bool
notify_is_wanted(void)
{
	return socket_path() != NULL;
}

void
notify_send(const char *state)
{
	const char *path = socket_path();
	struct sockaddr_un to;
	socklen_t length;
	int fd;

	if (path == NULL || strlen(path) >= sizeof(to.sun_path))
		return;
	memset(&to, 0, sizeof(to));
	to.sun_family = AF_UNIX;
	memcpy(to.sun_path, path, strlen(path));
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			     strlen(path));
	if (path[0] == '@')
		to.sun_path[0] = '\0'; /* the abstract namespace */

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	/* Best effort: see the header. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (const struct sockaddr *)&to, length);
	close(fd);
}

void
notify_reloading(void)
{
	char text[128];

	snprintf(text, sizeof(text),
	    "RELOADING=1\nSTATUS=Reloading\nMONOTONIC_USEC=%lld",
	    (long long)clock_mono_ms() * 1000);
	notify_send(text);
}

void
notify_extend(unsigned seconds, const char *status)
{
	char text[256];

	snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%llu\nSTATUS=%s",
	    seconds * 1000000ULL, status);
	notify_send(text);
}
