/*
 * Accepting, on one listener thread: an acceptor watches the thread's socket of
 * one listener and adds connections of one service to the conn_set.
 */
#ifndef PROXY_ACCEPTOR_H
#define PROXY_ACCEPTOR_H

#include <stdbool.h>

#include "base/attr.h"

struct acceptor;
struct conn_set;
struct listener;
struct service;

/* References listener and service.  NULL: no memory. */
struct acceptor *acceptor_new(struct listener *listener, unsigned thread,
    struct service *service, struct conn_set *set) MUST_CHECK;

/* From now on new connections get this service (a reload). */
void acceptor_serve(struct acceptor *acceptor, struct service *service);
struct listener *acceptor_listener(const struct acceptor *acceptor);

/* End a pause now (called when conn_set.room). */
void acceptor_resume(struct acceptor *acceptor);

/*
 * Stop.  `empty`: the listener is closed (it was removed by a reload, or the
 * process drains).  The connections waiting in this thread's queue are accepted
 * first (bounded, and within the limits), then the socket refuses new ones,
 * except an inherited one, whose queue the next process finds.  A socket that
 * is shared with another process, and any without `empty`, is not changed.
 */
void acceptor_free(struct acceptor *acceptor, bool empty);

#endif
