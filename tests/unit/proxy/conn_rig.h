/*
 * A connection with both of its ends: a real event loop, a real TLS client on a
 * socket pair, a real Unix socket as backend.  One thread; only rig_wait waits.
 */
#ifndef UNIT_PROXY_CONN_RIG_H
#define UNIT_PROXY_CONN_RIG_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "proxy/conn.h"
#include "tests/support/pki.h"

/* Section 2.2 of the PROXY protocol. */
#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

struct ssl_st;
struct ssl_ctx_st;

struct rig {
	struct pki_folder folder;
	const struct config *config;
	struct ticket_keys *keys;
	struct tls_server *tls;
	struct limit_process *process;
	struct limit *limit;
	struct stats *stats; /* of one thread */
	struct service *service;
	struct ev_loop *loop;
	struct log *log; /* NULL: see rig_log */
	struct conn_set set;

	struct addr peer; /* as accepted; a Unix client by default */
	struct ssl_ctx_st *client_context;
	struct ssl_st *client;
	int client_fd;    /* -1: closed */
	int listening_fd; /* of the first backend; -1: not listening */
	int backend_fd;   /* accepted; -1: none */
};

/* `keys` are lines of the listener's section, and of its hosts' after it; ""
 * for none.  Files they name are looked for in rig->folder. */
void rig_init(struct rig *rig, const char *keys);
/* The counters of the service. */
const struct stats_counts *rig_counts(const struct rig *rig);

void rig_fini(struct rig *rig);

/* The same in a folder with files of the test; taken. */
void rig_init_in(
    struct rig *rig, const struct pki_folder *folder, const char *keys);

/* From now on lines of every level are written and can be searched. */
void rig_log(struct rig *rig);
bool rig_logged(const struct rig *rig, const char *text);

/* The backend stops listening. */
void rig_refuse(struct rig *rig);

/* A client connects; the connection begins. */
void rig_connect(struct rig *rig);

/* The connection that began last; asserts that there is one. */
struct conn *rig_conn(struct rig *rig);

/* Both ends go on with the handshake; is the client's complete? */
bool rig_shake(struct rig *rig);

/* The backend accepts; asserts that a connection waits. */
void rig_accept(struct rig *rig);

/* Connect, shake, accept. */
void rig_open(struct rig *rig);

/* Turns of the loop that do not wait, enough for everything to settle. */
void rig_turn(struct rig *rig);

/* Turns that wait, for timers, until no connection is left. */
void rig_wait(struct rig *rig);

void rig_close_client(struct rig *rig);
void rig_close_backend(struct rig *rig);

/* Send all bytes from one end while the loop turns: raw, or as payload. */
void rig_client_sends(struct rig *rig, const void *bytes, size_t len);
void rig_client_writes(struct rig *rig, const void *bytes, size_t len);
void rig_backend_writes(struct rig *rig, const void *bytes, size_t len);

/* Receive at one end until there are `len` bytes, or no more. */
size_t rig_client_reads(struct rig *rig, void *bytes, size_t len);
size_t rig_backend_reads(struct rig *rig, void *bytes, size_t len);

/* The state of one end after a read without bytes. */
enum rig_end { OPEN, ENDED_CLEANLY, CUT };
enum rig_end rig_client_end(struct rig *rig);
enum rig_end rig_backend_end(struct rig *rig);

/* Has exactly one connection ended, and for this reason? */
bool rig_ended(const struct rig *rig, enum conn_reason reason);

#endif
