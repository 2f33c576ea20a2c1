/*
 * Listening sockets, and the TCP options that they share with connecting ones.
 *
 * struct listener: the sockets of one accept= line; counted, immutable after
 * birth, shared by generations that name the same address.  The main thread
 * opens it, listener threads accept from it.
 *
 * A TCP address has one SO_REUSEPORT socket per thread.  Unix and inherited
 * sockets cannot join such a group: every thread watches the one descriptor,
 * and EAGAIN from accept is normal.
 *
 * TCP_NODELAY, keepalive and the backlog are set on the listening socket, from
 * which connections inherit them: no call per connection.  A reload may change
 * keepalive and backlog; acceptors set these, each for its own socket.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/attr.h"
#include "config/config.h"

struct err;
struct listener;

/* How to open, besides the address. */
struct listener_options {
	unsigned threads;
	unsigned backlog;
	unsigned unix_mode;
	bool v6only;
	bool bind_early;    /* IP_FREEBIND */
	const char *device; /* SO_BINDTODEVICE; NULL: none */
	/*
	 * This process has a socket at that port already, at an address that
	 * does not match (listener_overlaps): no test whether it is in use.
	 */
	bool port_is_ours;
};

/*
 * Open accept= as sockets for `threads` threads.  Bare ports are dual-stack, or
 * IPv4 alone (*v4_only is set; may be NULL) where the kernel has no IPv6.  The
 * file of a unix socket has exactly unix_mode before a client can connect.  A
 * socket file without a listener is replaced; any other file is an error.
 */
struct listener *listener_open(const struct config_accept *accept,
    const struct listener_options *options, bool *v4_only,
    struct err *err) MUST_CHECK;

/* Wrap an inherited, listening descriptor; takes it (also on failure). */
struct listener *listener_adopt(int fd, struct err *err) MUST_CHECK;

/*
 * What another process needs, besides the sockets, to continue a listener: all
 * that the sockets themselves do not show.
 */
struct listener_state {
	struct addr asked;
	bool any_family;
	bool v6only;
	bool inherited;
	char device[IFNAMSIZ]; /* "": any */
	dev_t dev;             /* of the file of a unix socket that clinch... */
	ino_t ino;             /* ...made; 0: none */
};

struct listener_state listener_state(const struct listener *listener);

/*
 * Continue the listener of another process with these sockets of it (at least
 * one), whatever the number of threads: several sockets of a thread need
 * several listeners, and several threads share a socket.  Takes the descriptors,
 * also on failure.  The listener is shared until listener_set_shared().
 */
struct listener *listener_continue(const struct listener_state *state,
    const int *fds, size_t count, struct err *err) MUST_CHECK;

/*
 * Another process accepts from the same sockets: when they are closed here,
 * clients in their queues are its clients, and neither the sockets nor the file
 * of a unix socket may end.  Main thread.
 */
void listener_set_shared(struct listener *listener, bool shared);
bool listener_is_shared(const struct listener *listener); /* any thread */

/* Does another process have the same sockets, so that they do not end when they
 * are closed here?  Any thread. */
bool listener_is_open_elsewhere(const struct listener *listener);

struct listener *listener_ref(struct listener *listener);
void listener_unref(struct listener *listener); /* closes; unlinks a unix
						   socket it created unless it
						   is shared; NULL ok */

/* The address as configured, and as bound (port 0 resolved). */
const struct addr *listener_asked(const struct listener *listener);
const struct addr *listener_address(const struct listener *listener);
bool listener_is_inherited(const struct listener *listener);

/* The socket this thread accepts from; borrowed. */
int listener_fd(const struct listener *listener, unsigned thread);

/* All sockets; borrowed. */
const int *listener_fds(const struct listener *listener, size_t *count);

/*
 * Does the listener fit that accept line and options?  backlog and unix_mode
 * can change while a socket is open and are not compared.
 */
bool listener_matches(const struct listener *listener,
    const struct config_accept *accept, const struct listener_options *options);

/* Is this a TCP socket at that accept line's port, whatever its address? */
bool listener_overlaps(
    const struct listener *listener, const struct config_accept *accept);

/*
 * Set the mode of a unix socket that is kept over a reload; does nothing for
 * others.  Main thread, once the new configuration is in force.
 */
bool listener_set_mode(
    struct listener *listener, unsigned unix_mode, struct err *err) MUST_CHECK;

/*
 * Options of a TCP socket, listening or connecting.  A socket without them
 * still works, so that failures are ignored.  Any thread.
 */
void socket_set_nodelay(int fd);

/*
 * Probe a silent peer after keepalive_ms (rounded up to seconds, 0: never), at
 * the intervals of the kernel's tcp_keepalive_intvl and _probes.
 */
void socket_set_keepalive(int fd, uint32_t keepalive_ms);

#endif
