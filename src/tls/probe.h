/*
 * One TLS handshake as a client, for `clinch healthcheck`.  It returns the
 * certificates that the server sent, the staple and how the handshake ended.
 * Nothing is verified here.
 *
 * The probe offers STREAM_CHECK_PROTOCOL alone (stream.h), so a clinch ends the
 * connection by itself once it has accepted the handshake.  The probe waits for
 * that end, because in TLS 1.3 an alert may still follow the handshake (RFC 8446
 * section 4.4.2.4: certificate_required).
 *
 * One thread; non-blocking.  SIGPIPE must be ignored.
 */
#ifndef TLS_PROBE_H
#define TLS_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "tls/identity.h"
#include "tls/pem.h"
#include "tls/stream.h"

struct probe;

#define PROBE_NAME_MAX 256 /* a host name and its terminator */

struct probe_options {
	const char *name;        /* server_name; "": none */
	enum identity_kind kind; /* of the certificate; IDENTITY_KINDS: any */
	/* To offer, lists in OpenSSL's notation; NULL: the default. */
	const char *groups;
	const char *ciphersuites;
};

enum probe_end {
	PROBE_ACCEPTED, /* handshake, then close_notify */
	PROBE_ALERT,    /* result->alert */
	PROBE_OTHER,    /* a TLS server that is no clinch accepted it */
	PROBE_NOT_TLS,
	PROBE_CLOSED, /* FIN or reset without an alert */
	PROBE_FAILED  /* result->why */
};

struct probe_result {
	enum probe_end end;
	int alert;                   /* AlertDescription; 0: none */
	bool certificate_requested;  /* by the server, and none was sent */
	struct chain chain;          /* leaf NULL: none; owned by the probe */
	const unsigned char *staple; /* NULL: none; owned by the probe */
	size_t staple_len;
	struct err why; /* a description of the end */
};

#define PROBE_CERTIFICATE_REQUIRED 116 /* RFC 8446 section 6 */
#define PROBE_HANDSHAKE_FAILURE 40
#define PROBE_INTERNAL_ERROR 80
#define PROBE_UNRECOGNIZED_NAME 112

/* fd: connected, non-blocking; stays the caller's.  NULL: *err. */
struct probe *probe_new(
    int fd, const struct probe_options *options, struct err *err) MUST_CHECK;
void probe_free(struct probe *probe); /* NULL ok */

/* IO_WANT_READ, IO_WANT_WRITE: call again once the descriptor is ready.
 * IO_DONE: there is a result. */
enum io probe_step(struct probe *probe) MUST_CHECK;
const struct probe_result *probe_result(const struct probe *probe);

/* Read a PEM file: the kind of its certificate, and a server name that selects
 * it ("" if there is none).  false: *err names the path. */
bool probe_read_cert(const char *path, enum identity_kind *kind,
    char name[PROBE_NAME_MAX], struct err *err) MUST_CHECK;

/* A name that matches a pattern (sni.h). */
void probe_name_for(char name[PROBE_NAME_MAX], const char *pattern);

#endif
