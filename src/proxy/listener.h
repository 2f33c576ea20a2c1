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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

struct listener *listener_ref(struct listener *listener);
void listener_unref(struct listener *listener); /* closes; unlinks a unix
						   socket it created; NULL ok */

/* The address as configured, and as bound (port 0 resolved). */
const struct addr *listener_asked(const struct listener *listener);
const struct addr *listener_address(const struct listener *listener);
bool listener_is_inherited(const struct listener *listener);

/* The socket this thread accepts from; borrowed. */
int listener_fd(const struct listener *listener, unsigned thread);

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
