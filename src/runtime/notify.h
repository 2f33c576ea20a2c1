/*
 * Readiness told to the service manager (sd_notify's protocol).  Main thread.
 */
#ifndef RUNTIME_NOTIFY_H
#define RUNTIME_NOTIFY_H

#include <stdbool.h>

/*
 * Send "READY=1" and so on; nothing without NOTIFY_SOCKET.  Failure is
 * ignored: the service manager's loss must not be the clients'.
 */
void notify_send(const char *state);

/* RELOADING=1 with the monotonic time systemd wants beside it. */
void notify_reloading(void);

/* EXTEND_TIMEOUT_USEC: a start or reload goes on; allow it so many seconds
 * more from now on.  status: what it waits for. */
void notify_extend(unsigned seconds, const char *status);

/* Was NOTIFY_SOCKET set? */
bool notify_is_wanted(void);

#endif
