/*
 * Listening sockets: open them (or adopt what the service manager handed us),
 * and accept from them in bounded bursts on a listener thread.
 *
 * A TCP address becomes one SO_REUSEPORT socket per thread; Unix and
 * inherited sockets cannot join such a group, so every thread watches the one
 * descriptor (EAGAIN is normal).  A second process of the same user would
 * join a group silently, so a plain socket is bound first and closed again:
 * EADDRINUSE then means what people expect.
 *
 * TCP_NODELAY, keepalive and the backlog are set on the listening socket, from
 * which connections inherit them: no call per connection.  What may change on
 * a reload (keepalive, backlog) is set by the acceptor, for its own socket.
 *
 * struct listener: the sockets of one accept= line; counted, immutable after
 * birth, shared by generations that name the same address.  Main thread opens,
 * listener threads accept.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/list.h"
#include "config/config.h"

struct conn_set;
struct err;
struct listener;
struct service;

/* How to open: what distinguishes sockets besides their address. */
struct listener_options {
	unsigned threads;
	unsigned backlog;
	unsigned unix_mode;
	bool v6only;
	bool bind_early;    /* IP_FREEBIND */
	const char *device; /* SO_BINDTODEVICE; NULL: none */
	/*
	 * We hold that port already, at an address that does not match
	 * (listener_overlaps): no first bind, it would find ourselves.
	 */
	bool port_is_ours;
};

/*
 * Open accept= as sockets for `threads` threads.  Bare ports are dual-stack,
 * IPv4 alone where the kernel has no IPv6 (*v4_only says so; may be NULL).
 * A stale unix socket is removed only after ECONNREFUSED.
 */
struct listener *listener_open(const struct config_accept *accept,
    const struct listener_options *options, bool *v4_only,
    struct err *err) MUST_CHECK;

/* Wrap an inherited, listening descriptor; takes it (also on failure). */
struct listener *listener_adopt(int fd, struct err *err) MUST_CHECK;

struct listener *listener_ref(struct listener *listener);
void listener_unref(struct listener *listener); /* closes; unlinks a unix
						   socket it created; NULL ok */

/* The address as asked for (config) and as got (port 0 resolved). */
const struct addr *listener_asked(const struct listener *listener);
const struct addr *listener_address(const struct listener *listener);
bool listener_is_inherited(const struct listener *listener);

/* The socket this thread accepts from; not given away. */
int listener_fd(const struct listener *listener, unsigned thread);

/*
 * Could this one serve for that accept line and options?  backlog and
 * unix_mode can change while a socket is open and are not compared.
 */
bool listener_matches(const struct listener *listener,
    const struct config_accept *accept, const struct listener_options *options);

/* Is this a TCP socket at that accept line's port, whatever its address? */
bool listener_overlaps(
    const struct listener *listener, const struct config_accept *accept);

/*
 * Give a unix socket that is kept over a reload the mode it has now; nothing
 * to do for any other.  Main thread, once the new configuration is in force.
 */
bool listener_set_mode(
    struct listener *listener, unsigned unix_mode, struct err *err) MUST_CHECK;

/*
 * Accepting, on one listener thread: an acceptor watches the thread's socket
 * of one listener and feeds connections of one service into the conn_set.
 */
struct acceptor;

struct acceptor *acceptor_new(struct listener *listener, unsigned thread,
    struct service *service, struct conn_set *set) MUST_CHECK;

/* From now on new connections get this service (a reload). */
void acceptor_serve(struct acceptor *acceptor, struct service *service);
struct listener *acceptor_listener(const struct acceptor *acceptor);

/* Try again now if it pauses (called when conn_set.room). */
void acceptor_resume(struct acceptor *acceptor);

/*
 * Stop.  `empty`: the listener is going away (it was removed by a reload, or
 * the process drains).  Everyone already waiting in this thread's queue is
 * accepted first (bounded, and within the limits), then the socket refuses
 * newcomers for good, except an inherited one, whose queue the next process
 * finds.  Without it nothing is done to the socket.
 */
void acceptor_free(struct acceptor *acceptor, bool empty);

#endif
