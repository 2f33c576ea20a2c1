/*
 * A small HTTP server on 127.0.0.1 that behaves to its clients as a script
 * sets, from a normal response to a reset.  The kernel chooses the port.  It
 * has threads of its own (one that accepts, one for each connection); all
 * functions may be called by any thread but responder_stop.  Aborts when the
 * system fails.
 */
#ifndef SUPPORT_RESPONDER_H
#define SUPPORT_RESPONDER_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

struct responder;

/* How a connection goes on once the bytes of its act are sent. */
enum responder_end {
	RESPONDER_CLOSES,
	RESPONDER_RESETS,
	RESPONDER_HANGS,  /* until the client goes or responder_stop */
	RESPONDER_REPEATS /* the bytes after `repeat_from`, for ever */
};

/* Strings and bytes are borrowed until responder_stop. */
struct responder_act {
	const char *path;  /* the target begins so; NULL: any */
	const void *bytes; /* what is sent, whole: status line and all */
	size_t len;        /* 0: bytes is a string */
	bool unasked;      /* before the request has been read; so `path` must
			      be NULL */
	bool waits;        /* for responder_release, before sending */
	bool drips;        /* one byte at a time, some 10 ms apart */
	size_t drip_from;  /* ...from this byte on */
	size_t repeat_from;
	enum responder_end end;
};

/* tls: NULL for plain http; a reference is taken. */
struct responder *responder_start(SSL_CTX *tls);
void responder_stop(struct responder *responder); /* NULL ok */

/* What it does from the next request on; the first act that fits.  Where none
 * does it answers 404.  The list is borrowed until the next call. */
void responder_play(struct responder *responder,
    const struct responder_act *acts, size_t count);

/* Let all waiting connections go on; later ones do not wait. */
void responder_release(struct responder *responder);

/* "http://127.0.0.1:port" (or https) and the path; free() it. */
char *responder_url(const struct responder *responder, const char *path);
unsigned responder_port(const struct responder *responder);

/* Connections so far, and those whose request has been read. */
unsigned responder_connections(struct responder *responder);
unsigned responder_requests(struct responder *responder);

/* The n-th request read, head and body, terminated; free() it.  NULL: there
 * was none such. */
char *responder_request(struct responder *responder, unsigned n, size_t *len);

#endif
