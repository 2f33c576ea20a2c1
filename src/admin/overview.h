/*
 * What the admin endpoint shows, as plain data: the state of the process, of
 * its listeners and of its certificates at one moment.  The runtime fills it in
 * (runtime/collect.c); metrics.c and status.c print it.  One thread.
 *
 * Texts are borrowed from what `owner` keeps alive, unless they are arrays.
 * Times are seconds since the epoch, 0: none.
 */
#ifndef ADMIN_OVERVIEW_H
#define ADMIN_OVERVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "proxy/stats.h"
#include "staple/staple.h"

enum overview_backend_state {
	BACKEND_STATE_UNRESOLVED,
	BACKEND_STATE_UP,
	BACKEND_STATE_RESTING, /* it failed, and is not checked */
	BACKEND_STATE_DOWN     /* it failed, and is checked */
};

struct overview_backend {
	const char *name; /* as written in connect= */
	/* the pattern of its [host]; NULL: the listener's own, or several */
	const char *host;
	size_t addresses; /* 0: not resolved yet */
	size_t resting;   /* of these */
	uint64_t errors;
	enum overview_backend_state state;
	bool checked;
	int64_t since_s; /* of that state; 0: since the start, or untested */
	char error[128]; /* of the last connect that failed; "": none */
	int64_t error_s;
};

struct overview_listener {
	const char *name;
	char (*addresses)[ADDR_TEXT_MAX];
	size_t address_count;
	uint32_t max_connections; /* 0: no limit */
	struct stats_counts counts;
	struct overview_backend *backends; /* each name once */
	size_t backend_count;
};

enum overview_severity {
	SEVERITY_GOOD,
	SEVERITY_NOTICE,
	SEVERITY_WARNING,
	SEVERITY_CRITICAL
};

struct overview_certificate {
	const char *listener; /* the first that uses it */
	const char *host;     /* ...or its [host]; NULL: none */
	const char *file;
	const char *mode; /* of stapling: "auto", ... */
	bool in_service;  /* false: a renewal that waits for its staple */
	char serial[64];  /* hex */
	char kind[16];    /* "RSA2048" */
	char issuer[256]; /* escaped */
	int64_t not_before;
	int64_t not_after;
	enum overview_severity severity;
	const char *clients_get; /* a sentence; constant */
	struct staple_info staple;
};

struct overview_crl {
	char issuer[256]; /* escaped */
	const char *file;
	int64_t next_update;
};

enum overview_state { STATE_STARTING, STATE_SERVING, STATE_DRAINING };

struct overview {
	int64_t now_ms;
	int64_t start_s; /* of the process */
	const char *config_file;
	const char *openssl; /* version */
	unsigned threads;
	enum overview_state state;
	bool ready;
	char (*reasons)[192]; /* why it is not ready */
	size_t reason_count;

	struct overview_reloads {
		uint64_t succeeded;
		uint64_t failed;
		bool running;
		bool last_failed;
		int64_t last_s;   /* 0: none yet */
		char error[1024]; /* of the last one, its first lines */
	} reloads;
	uint64_t log_lines_dropped;

	struct overview_listener *listeners;
	size_t listener_count;
	/* Sorted by id; a certificate with several policies has several. */
	struct overview_certificate *certificates;
	size_t certificate_count;
	struct overview_crl *crls; /* with a nextUpdate; each issuer once */
	size_t crl_count;

	void *owner; /* keeps the texts alive */
	void (*release)(void *owner);
};

/* "starting", "serving", "draining". */
const char *overview_state_name(enum overview_state state);
const char *overview_severity_name(enum overview_severity severity);
/* "unresolved", "up", "resting", "down". */
const char *overview_backend_state_name(enum overview_backend_state state);

/* What is held for a certificate: "good", "revoked", "expired", "future"; NULL:
 * nothing. */
const char *overview_staple_state(
    const struct staple_info *staple, int64_t now_s);

/* The index of the first item after `i` that is of another certificate. */
size_t overview_next_certificate(const struct overview *overview, size_t i);

/* Is the text UTF-8 (RFC 3629)?  JSON and Prometheus demand it; paths and names
 * may have any bytes. */
bool overview_is_utf8(const char *text);

void overview_free(struct overview *overview); /* NULL ok */

#endif
