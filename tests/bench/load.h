/*
 * What the files of the load generator share.  One process, one thread, one
 * epoll set; each client is a small state machine whose mode selects what it
 * does after the handshake.  The hard decision: the generator only counts, and
 * writes its counters on each request, so that the program that reads the
 * proxy's CPU clock reads both at the same instant.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

enum {
	LOAD_SCRATCH = 64 * 1024, /* the largest message, and a read buffer */
	LOAD_OPENING = 16,        /* clients that may be opening at once */
	LOAD_BINS = 50000,        /* microseconds distinguished by latency */
};

enum step {
	STEP_WAIT,   /* nothing more until the socket is ready */
	STEP_DONE,   /* the client has finished: close, perhaps start again */
	STEP_FAILED, /* counted as an error */
};

struct client;
struct load;

/* What a client does after its handshake. */
struct mode {
	const char *name;
	char command;    /* first byte sent: selects the mode of the backend */
	bool reconnects; /* a finished client opens again */
	bool paced;      /* requests start by the clock, not by answers */
	void (*begin)(struct client *);
	enum step (*step)(struct client *);
};

struct client {
	struct load *load;
	SSL *ssl;
	SSL_SESSION *session; /* newest ticket, when resuming */
	int fd;
	uint32_t interest; /* the events last set with epoll_ctl */
	bool ready;        /* handshake done */
	bool settled;      /* has been counted as open */
	size_t to_write;
	size_t to_read;
	uint64_t asked_at; /* ns, when the request was written */
};

struct counters {
	uint64_t ops;    /* exchanges, or whole connections */
	uint64_t bytes;  /* plaintext received */
	uint64_t errors; /* connections that broke */
	uint64_t open;   /* connections that are past their handshake */
	uint64_t full;   /* full handshakes */
	uint64_t resumed;
	uint64_t stapled; /* handshakes that brought an OCSP response */
};

struct options {
	const struct mode *mode;
	const char *connect; /* IPv4 address:port */
	int tls;             /* TLS1_2_VERSION or TLS1_3_VERSION */
	size_t clients;
	size_t size;       /* bytes of a request and of its answer */
	unsigned rate;     /* requests a second, for a paced mode */
	uint64_t count;    /* exchanges after which it rests; 0: no end */
	const char *group; /* of the key exchange */
	bool resume;
	bool status; /* send status_request */
};

struct load {
	struct options options;
	struct counters count;
	SSL_CTX *ctx;
	struct client *clients;
	size_t opened;     /* clients that were ever opened */
	size_t turn;       /* next client of a paced mode */
	uint32_t *latency; /* LOAD_BINS counts, one per microsecond */
	char what[96];     /* version, cipher and group that were agreed */
	char why[160];     /* the first error */
	int epoll;
	unsigned char message[LOAD_SCRATCH]; /* what is sent */
	unsigned char scratch[LOAD_SCRATCH]; /* what is read, unlooked at */
};

extern const struct mode mode_handshake;
extern const struct mode mode_ping;
extern const struct mode mode_latency;
extern const struct mode mode_idle;
extern const struct mode mode_download;
extern const struct mode mode_upload;

/* load_client.c */

SSL_CTX *client_context(const struct options *o);

/* Connect and start the handshake.  A failure is counted. */
void client_open(struct client *c);

/* The exchanges of --count are done: start no other. */
bool load_is_done(const struct load *l);

/* An event of the socket. */
void client_step(struct client *c);

void client_close(struct client *c);

/* Be called again when the socket is readable or writable. */
void client_want(struct client *c, uint32_t interest);

/* Read at most size bytes; *got is set when the answer is true.  False with
 * *result set to STEP_WAIT or STEP_FAILED otherwise. */
bool client_read(
    struct client *c, void *to, size_t size, size_t *got, enum step *result);

bool client_write(
    struct client *c, const void *from, size_t size, enum step *result);

/* load_exchange.c */

/* Monotonic nanoseconds. */
uint64_t load_now(void);

/* Write a request of options.size bytes and await as many back. */
void exchange_start(struct client *c);

/* A paced mode starts one request on the next client that is free. */
void exchange_tick(struct load *l);

#endif
