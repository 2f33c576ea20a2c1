/*
 * The access log line: what one connection was, said once at its end.
 * Listener thread; formats into the log's ring, never blocks.
 */
#ifndef PROXY_ACCESS_H
#define PROXY_ACCESS_H

#include <stdint.h>

#include "base/addr.h"
#include "proxy/conn.h"
#include "tls/stream.h"

struct log;

struct access_record {
	uint64_t id;
	const char *listener;
	const char *host; /* the pattern; NULL: the listener itself */
	const struct addr *peer;
	const struct addr *via;      /* who brought it; NULL: nobody */
	const char *backend;         /* as configured; NULL: none was reached */
	const struct stream *client; /* may have failed */
	bool handshake_done;
	uint64_t bytes_up;   /* client to backend */
	uint64_t bytes_down; /* backend to client */
	int64_t handshake_ms;
	int64_t connect_ms;
	int64_t total_ms;
	enum conn_reason reason;
};

/* Writes one access line if there is an access log. */
void access_write(struct log *log, const struct access_record *record);

#endif
