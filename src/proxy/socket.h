/*
 * The TCP options that listening and connecting sockets share.  Any thread.
 */
#ifndef PROXY_SOCKET_H
#define PROXY_SOCKET_H

#include <stdint.h>

/*
 * Neither can fail in a way that matters: a socket without them still carries
 * every byte, so nothing is returned.  Not for unix sockets.  On a listening
 * socket they are inherited by every connection the kernel completes
 * afterwards, which saves the calls per connection.
 */
void socket_set_nodelay(int fd);

/*
 * Probe a silent peer after keepalive_ms (rounded up to seconds, 0: never);
 * how often and for how long is the kernel's tcp_keepalive_intvl and _probes.
 */
void socket_set_keepalive(int fd, uint32_t keepalive_ms);

#endif
