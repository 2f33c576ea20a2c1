/*
 * Bound TCP and Unix sockets that do not listen yet.  A process that has
 * dropped its privileges gets them from a fallback (the privileged opener),
 * because the kernel lets only sockets of one user share a port by
 * SO_REUSEPORT, and the sockets of the start belong to root.
 *
 * Main thread.  The fallback is registered before the first thread starts.
 */
#ifndef BASE_BIND_H
#define BASE_BIND_H

#include <net/if.h>
#include <stdbool.h>

#include "base/addr.h"
#include "base/attr.h"

/* All have SO_REUSEADDR. */
struct bind_options {
	bool in_group;         /* SO_REUSEPORT */
	bool v6only;           /* IPV6_V6ONLY, of IPv6 sockets */
	bool free_bind;        /* IP_FREEBIND */
	char device[IFNAMSIZ]; /* SO_BINDTODEVICE; "": none */
};

/* -1 and errno, as the functions below; ENOTCONN: the fallback has gone, and
 * the plain call is tried. */
struct bind_fallback {
	int (*tcp)(void *arg, const struct addr *addr,
	    const struct bind_options *options);
	/* The file has exactly this mode; a stale socket is replaced. */
	int (*unix_socket)(void *arg, const struct addr *addr, unsigned mode);
	void *arg;
};

/* Copied; NULL: none. */
void bind_set_fallback(const struct bind_fallback *fallback);

/* A bound, non-blocking TCP socket, by the fallback if there is one and this
 * process is not root; -1 and errno. */
int bind_tcp(
    const struct addr *addr, const struct bind_options *options) MUST_CHECK;

/* The same, by this process. */
int bind_tcp_here(
    const struct addr *addr, const struct bind_options *options) MUST_CHECK;

/* A bound Unix socket by the fallback; -1 and errno, EACCES without one. */
int bind_unix(const struct addr *addr, unsigned mode) MUST_CHECK;

#endif
