/*
 * What a process hands to the one that continues it: listening sockets, ticket
 * keys, the pid file.  The messages of both sides, and the state of the process
 * that receives them.  Main thread.
 */
#ifndef RUNTIME_HANDOVER_H
#define RUNTIME_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "proxy/listener.h"
#include "runtime/sockets.h"
#include "tls/ticket.h"

struct err;
struct generation;

/*
 * ---- Messages ----
 *
 * Over a pair of SOCK_SEQPACKET sockets between two processes of one machine
 * that may run different versions of the program.  Each message begins with a
 * magic number, the version of this layout and a kind; fields follow, each with
 * a number and a length.  Unknown fields are skipped; another version is an
 * error.
 */

enum handover_kind {
	/* from the old process */
	HANDOVER_LISTENER = 1, /* with sockets; several messages if many */
	HANDOVER_TICKETS,
	HANDOVER_PID_FILE, /* with its locked descriptor */
	HANDOVER_END,      /* that was all */
	HANDOVER_GO,       /* the sockets are yours */
	/* from the new one */
	HANDOVER_ERROR, /* a line that was printed */
	HANDOVER_READY  /* every thread accepts clients */
};

enum handover_field {
	FIELD_ROLE = 1, /* enum handover_role, in 32 bits as all numbers */
	FIELD_NAME,
	FIELD_FD_NAME,
	FIELD_ASKED, /* struct sockaddr */
	FIELD_FLAGS,
	FIELD_DEVICE,
	FIELD_DEV, /* 64 bits */
	FIELD_INO, /* likewise */
	FIELD_KEYS,
	FIELD_ROTATE_MS, /* time until the next rotation; 0: none */
	FIELD_PATH,
	FIELD_PID,
	FIELD_TEXT,
	FIELD_KEPT /* one byte for each HANDOVER_LISTENER, in their order */
};

/* At most PACKET_FDS_MAX descriptors. */
enum { HANDOVER_BYTES_MAX = 16384, HANDOVER_FDS_MAX = 250 };

struct handover_message {
	size_t len;
	size_t fd_count;
	int fds[HANDOVER_FDS_MAX]; /* borrowed when sent, owned when received */
	uint8_t bytes[HANDOVER_BYTES_MAX];
};

void handover_begin(struct handover_message *message, enum handover_kind kind);

/* Append a field.  What does not fit is left out, which the receiver of a
 * required field finds. */
void handover_put(struct handover_message *message, enum handover_field field,
    const void *bytes, size_t len);
void handover_put_number(struct handover_message *message,
    enum handover_field field, uint32_t number);

enum handover_kind handover_kind_of(const struct handover_message *message);

/* The bytes of a field; NULL: it is absent. */
const uint8_t *handover_find(const struct handover_message *message,
    enum handover_field field, size_t *len);

/* absent, or of another length: `otherwise` */
uint32_t handover_number(const struct handover_message *message,
    enum handover_field field, uint32_t otherwise);

enum handover_io {
	HANDOVER_DONE,
	HANDOVER_AGAIN,  /* would block */
	HANDOVER_CLOSED, /* by the other process */
	HANDOVER_FAILED  /* *err */
};

enum handover_io handover_send(
    int fd, const struct handover_message *message, struct err *err) MUST_CHECK;

/* A well-formed message; its descriptors are close-on-exec, and the caller's
 * (handover_close_fds). */
enum handover_io handover_receive(
    int fd, struct handover_message *message, struct err *err) MUST_CHECK;
void handover_close_fds(struct handover_message *message);

/* ---- HANDOVER_LISTENER ---- */

enum handover_role { HANDOVER_PROXY = 1, HANDOVER_ADMIN };

struct handover_listener {
	enum handover_role role;
	const char *name;    /* of the section; "" for the admin endpoint */
	const char *fd_name; /* as listen_socket.fd_name */
	struct listener_state state;
};

/* Without the descriptors. */
void handover_put_listener(
    struct handover_message *message, const struct handover_listener *listener);

/* The strings point into the message.  false: *err. */
bool handover_get_listener(const struct handover_message *message,
    struct handover_listener *listener, struct err *err) MUST_CHECK;

/*
 * ---- The new process ----
 *
 * handover_new, handover_take, handover_open, then a start with the sockets as
 * those of a generation before the first, handover_ready, and handover_own once
 * HANDOVER_GO has come.
 */

struct handover {
	int fd;
	pid_t from; /* the old process */

	/* handover_take */
	struct handover_record *records;
	size_t record_count;
	struct ticket_key_set tickets;
	uint32_t rotate_ms; /* 0: not known */
	char *pid_path;     /* NULL: none */
	int pid_fd;

	/* handover_open */
	struct sockets sockets;
	bool *taken; /* sockets.count of them */
	struct listener **admin;
	size_t admin_count;
	bool is_ready;
};

/* Takes fd.  NULL: *err. */
struct handover *handover_new(int fd, struct err *err) MUST_CHECK;

/* Receive everything; blocks, for half a minute at most.  false: *err. */
bool handover_take(struct handover *handover, struct err *err) MUST_CHECK;

/* Make listeners for this number of threads.  false: *err. */
bool handover_open(
    struct handover *handover, unsigned threads, struct err *err) MUST_CHECK;

/* Send a line of an error to the old process, best effort.  NULL ok. */
void handover_report(const struct handover *handover, const char *text);

/* `current` is in service.  false: *err. */
bool handover_ready(struct handover *handover, const struct generation *current,
    struct err *err) MUST_CHECK;

/* The sockets of `current` belong to this process from now on. */
void handover_own(const struct generation *current);

/* Close everything that was not taken.  NULL ok. */
void handover_free(struct handover *handover);

#endif
