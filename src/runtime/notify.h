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

/* Was NOTIFY_SOCKET set? */
bool notify_is_wanted(void);

#endif
