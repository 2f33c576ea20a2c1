/*
 * A connection with both of its ends in our hands: a real event loop, a real
 * TLS client on a socket pair, a real Unix socket as backend.  One thread;
 * nothing waits except a turn of the loop that was asked to.
 */
#ifndef UNIT_PROXY_CONN_RIG_H
#define UNIT_PROXY_CONN_RIG_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/conn.h"

struct ssl_st;
struct ssl_ctx_st;

struct rig {
	char folder[64];
	const struct config *config;
	struct ticket_keys *keys;
	struct tls_context *context;
	struct limit_process *process;
	struct limit *limit;
	struct service *service;
	struct ev_loop *loop;
	struct conn_set set;

	struct ssl_ctx_st *client_context;
	struct ssl_st *client;
	int client_fd;    /* -1: closed */
	int listening_fd; /* of the first backend; -1: nobody listens */
	int backend_fd;   /* accepted; -1: none */
};

/* `keys` are lines of the listener section; "" for none. */
void rig_init(struct rig *rig, const char *keys);
void rig_fini(struct rig *rig);

/* The backend stops listening. */
void rig_refuse(struct rig *rig);

/* A client connects; the connection begins. */
void rig_connect(struct rig *rig);

/* ...and is through to the backend. */
void rig_open(struct rig *rig);

/* Turns of the loop that do not wait, enough for everything to settle. */
void rig_turn(struct rig *rig);

/* Turns that wait, for timers, until no connection is left. */
void rig_wait(struct rig *rig);

void rig_close_client(struct rig *rig);
void rig_close_backend(struct rig *rig);

/* Send all of it, from one end, while the loop turns. */
void rig_client_says(struct rig *rig, const void *bytes, size_t len);
void rig_backend_says(struct rig *rig, const void *bytes, size_t len);

/* What arrives at the other, until it is `len` bytes or nothing comes. */
size_t rig_client_hears(struct rig *rig, void *bytes, size_t len);
size_t rig_backend_hears(struct rig *rig, void *bytes, size_t len);

/* How things stand after a read that brought nothing. */
enum ending { OPEN, ENDED_CLEANLY, CUT };
enum ending rig_client_sees(struct rig *rig);
enum ending rig_backend_sees(struct rig *rig);

/* Exactly one connection has ended, and this is why. */
bool rig_ended(const struct rig *rig, enum conn_reason reason);

#endif
