/*
 * What a process hands to the one that continues it.  Main thread: the messages
 * on both sides, the rest in the new process before its first thread.
 *
 * Fields are tagged rather than laid out as a struct, because the two processes
 * run different versions as a rule.  A field may be added without another
 * WIRE_VERSION as long as the older program can do without it.  Addresses are the
 * kernel's bytes: text would have to be parsed, and both processes are on one
 * machine.
 *
 * The listeners of the old process are marked as shared until HANDOVER_GO, so
 * that a start which fails neither closes a socket nor removes a file that the
 * old process goes on serving.
 */
#include "runtime/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/packet.h"
#include "proxy/service.h"
#include "runtime/generation.h"

#define WIRE_VERSION 1
#define TAKE_S 30 /* the old process sends at once */

static const uint8_t magic[8] = { 'c', 'l', 'i', 'n', 'c', 'h', 'u', 'p' };

struct message_head {
	uint8_t magic[sizeof(magic)];
	uint32_t version;
	uint32_t kind;
};

struct field_head {
	uint16_t field;
	uint16_t len;
};

/* ---- Messages ---- */

void
handover_begin(struct handover_message *message, enum handover_kind kind)
{
	struct message_head head = { .version = WIRE_VERSION, .kind = kind };

	memcpy(head.magic, magic, sizeof(magic));
	memcpy(message->bytes, &head, sizeof(head));
	message->len = sizeof(head);
	message->fd_count = 0;
}

void
handover_put(struct handover_message *message, enum handover_field field,
    const void *bytes, size_t len)
{
	const struct field_head head = { (uint16_t)field, (uint16_t)len };

	if (len > sizeof(message->bytes) - message->len ||
	    len + sizeof(head) > sizeof(message->bytes) - message->len)
		return;
	memcpy(message->bytes + message->len, &head, sizeof(head));
	message->len += sizeof(head);
	memcpy(message->bytes + message->len, bytes, len);
	message->len += len;
}

void
handover_put_number(struct handover_message *message, enum handover_field field,
    uint32_t number)
{
	handover_put(message, field, &number, sizeof(number));
}

enum handover_kind
handover_kind_of(const struct handover_message *message)
{
	struct message_head head;

	memcpy(&head, message->bytes, sizeof(head));
	return (enum handover_kind)head.kind;
}

/* The field at *offset, which moves to the next one.  false: the end, or a
 * field that is cut (*is_cut). */
static bool
read_field(const struct handover_message *message, size_t *offset,
    struct field_head *head, bool *is_cut)
{
	size_t left = message->len - *offset;

	*is_cut = left > 0;
	if (left < sizeof(*head))
		return false;
	memcpy(head, message->bytes + *offset, sizeof(*head));
	if (head->len > left - sizeof(*head))
		return false;
	*offset += sizeof(*head) + head->len;
	return true;
}

const uint8_t *
handover_find(const struct handover_message *message, enum handover_field field,
    size_t *len)
{
	size_t offset = sizeof(struct message_head);
	struct field_head head;
	bool is_cut;

	*len = 0;
	while (read_field(message, &offset, &head, &is_cut)) {
		if (head.field != field)
			continue;
		*len = head.len;
		return message->bytes + offset - head.len;
	}
	return NULL;
}

uint32_t
handover_number(const struct handover_message *message,
    enum handover_field field, uint32_t otherwise)
{
	size_t len;
	const uint8_t *bytes = handover_find(message, field, &len);
	uint32_t number;

	if (bytes == NULL || len != sizeof(number))
		return otherwise;
	memcpy(&number, bytes, sizeof(number));
	return number;
}

enum handover_io
handover_send(int fd, const struct handover_message *message, struct err *err)
{
	const struct packet packet = {
		.bytes = (void *)(uintptr_t)message->bytes,
		.len = message->len,
		.fds = (int *)(uintptr_t)message->fds,
		.fd_count = message->fd_count,
	};

	if (packet_send(fd, &packet))
		return HANDOVER_DONE;
	if (errno == EAGAIN || errno == EINTR)
		return HANDOVER_AGAIN;
	if (errno == EPIPE || errno == ECONNRESET)
		return HANDOVER_CLOSED;
	err_set_errno(err, errno, "cannot send to the other process");
	return HANDOVER_FAILED;
}

static bool
check_message(const struct handover_message *message, struct err *err)
{
	size_t offset = sizeof(struct message_head);
	struct message_head head;
	struct field_head field;
	bool is_cut;

	if (message->len < sizeof(head))
		goto foreign;
	memcpy(&head, message->bytes, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(magic)) != 0)
		goto foreign;
	if (head.version != WIRE_VERSION)
		return err_set(err,
		    "the other process has version %u of the upgrade protocol "
		    "and this one %u: restart instead",
		    head.version, WIRE_VERSION);
	while (read_field(message, &offset, &field, &is_cut))
		;
	if (!is_cut)
		return true;
foreign:
	return err_set(err, "a message that is not of a clinch");
}

enum handover_io
handover_receive(int fd, struct handover_message *message, struct err *err)
{
	struct packet packet = {
		.bytes = message->bytes,
		.len = sizeof(message->bytes),
		.fds = message->fds,
		.fd_count = HANDOVER_FDS_MAX,
	};
	bool is_cut = false;
	ssize_t n = packet_receive(fd, &packet, &is_cut);

	message->len = 0;
	message->fd_count = packet.fd_count;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return HANDOVER_AGAIN;
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return HANDOVER_CLOSED;
	if (n < 0) {
		err_set_errno(
		    err, errno, "cannot receive from the other process");
		return HANDOVER_FAILED;
	}
	message->len = packet.len;
	if (is_cut)
		err_set(err,
		    "a message is cut: is the limit of descriptors too low?");
	else if (check_message(message, err))
		return HANDOVER_DONE;
	handover_close_fds(message);
	return HANDOVER_FAILED;
}

void
handover_close_fds(struct handover_message *message)
{
	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	message->fd_count = 0;
}

/* ---- HANDOVER_LISTENER ---- */

enum listener_flags {
	FLAG_ANY_FAMILY = 1u << 0,
	FLAG_V6ONLY = 1u << 1,
	FLAG_INHERITED = 1u << 2
};

static void
put_text(struct handover_message *message, enum handover_field field,
    const char *text)
{
	if (text)
		handover_put(message, field, text, strlen(text) + 1);
}

/* NULL: absent, or not one terminated string. */
static const char *
find_text(const struct handover_message *message, enum handover_field field)
{
	size_t len;
	const uint8_t *bytes = handover_find(message, field, &len);

	if (bytes == NULL || len == 0 ||
	    memchr(bytes, 0, len) != bytes + len - 1)
		return NULL;
	return (const char *)bytes;
}

void
handover_put_listener(
    struct handover_message *message, const struct handover_listener *listener)
{
	const struct listener_state *state = &listener->state;
	uint64_t dev = state->dev, ino = state->ino;

	handover_put_number(message, FIELD_ROLE, listener->role);
	put_text(message, FIELD_NAME, listener->name);
	put_text(message, FIELD_FD_NAME, listener->fd_name);
	handover_put(message, FIELD_ASKED, &state->asked.sa, state->asked.len);
	handover_put_number(message, FIELD_FLAGS,
	    (state->any_family ? FLAG_ANY_FAMILY : 0u) |
		(state->v6only ? FLAG_V6ONLY : 0u) |
		(state->inherited ? FLAG_INHERITED : 0u));
	put_text(message, FIELD_DEVICE, state->device);
	handover_put(message, FIELD_DEV, &dev, sizeof(dev));
	handover_put(message, FIELD_INO, &ino, sizeof(ino));
}

static uint64_t
find_long(const struct handover_message *message, enum handover_field field)
{
	size_t len;
	const uint8_t *bytes = handover_find(message, field, &len);
	uint64_t number = 0;

	if (bytes && len == sizeof(number))
		memcpy(&number, bytes, sizeof(number));
	return number;
}

/* An address of one of the families, with its whole struct. */
static bool
find_address(const struct handover_message *message, struct addr *addr)
{
	size_t len, most;
	const uint8_t *bytes = handover_find(message, FIELD_ASKED, &len);

	memset(addr, 0, sizeof(*addr));
	if (bytes == NULL || len < sizeof(addr->sa.sa_family) ||
	    len > sizeof(addr->un))
		return false;
	memcpy(&addr->sa, bytes, len);
	addr->len = (socklen_t)len;
	switch (addr->sa.sa_family) {
	case AF_INET:
		most = sizeof(addr->in);
		break;
	case AF_INET6:
		most = sizeof(addr->in6);
		break;
	case AF_UNIX:
		return len > offsetof(struct sockaddr_un, sun_path);
	default:
		return false;
	}
	return len == most;
}

bool
handover_get_listener(const struct handover_message *message,
    struct handover_listener *listener, struct err *err)
{
	uint32_t role = handover_number(message, FIELD_ROLE, 0);
	uint32_t flags = handover_number(message, FIELD_FLAGS, 0);
	const char *device = find_text(message, FIELD_DEVICE);
	struct listener_state *state = &listener->state;

	memset(listener, 0, sizeof(*listener));
	listener->name = find_text(message, FIELD_NAME);
	listener->fd_name = find_text(message, FIELD_FD_NAME);
	if ((role != HANDOVER_PROXY && role != HANDOVER_ADMIN) ||
	    listener->name == NULL || !find_address(message, &state->asked) ||
	    (device && strlen(device) >= sizeof(state->device)))
		return err_set(err, "a listening socket without its address");
	listener->role = (enum handover_role)role;
	state->any_family = flags & FLAG_ANY_FAMILY;
	state->v6only = flags & FLAG_V6ONLY;
	state->inherited = flags & FLAG_INHERITED;
	if (device)
		memcpy(state->device, device, strlen(device) + 1);
	state->dev = (dev_t)find_long(message, FIELD_DEV);
	state->ino = (ino_t)find_long(message, FIELD_INO);
	return true;
}

/* ---- The new process ---- */

/* One HANDOVER_LISTENER. */
struct handover_record {
	enum handover_role role;
	char *name;
	char *fd_name; /* NULL: none */
	struct listener_state state;
	int *fds; /* -1: taken by a listener */
	size_t fd_count;

	/* its listeners among those of its role */
	size_t first;
	size_t count;
};

struct handover *
handover_new(int fd, struct err *err)
{
	struct handover *handover = calloc(1, sizeof(*handover));
	const struct timeval limit = { .tv_sec = TAKE_S };
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	int type = 0;

	if (handover == NULL) {
		close(fd);
		err_no_memory(err);
		return NULL;
	}
	handover->fd = fd;
	handover->pid_fd = -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	    (len = sizeof(type),
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0) &&
	    type == SOCK_SEQPACKET &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ==
		0) {
		handover->from = peer.pid;
		return handover;
	}
	err_set(err, "descriptor %d is not of an upgrade", fd);
	handover_free(handover);
	return NULL;
}

void
handover_report(const struct handover *handover, const char *text)
{
	struct handover_message message;

	if (handover == NULL)
		return;
	handover_begin(&message, HANDOVER_ERROR);
	put_text(&message, FIELD_TEXT, text);
	(void)!handover_send(handover->fd, &message, NULL);
}

/* Takes the descriptors out of the message. */
static bool
add_listener(struct handover *handover, struct handover_message *message,
    struct err *err)
{
	struct handover_record *grown = realloc(
	    handover->records, (handover->record_count + 1) * sizeof(grown[0]));
	struct handover_listener listener;
	struct handover_record *record;

	if (grown)
		handover->records = grown;
	if (grown == NULL)
		return err_no_memory(err);
	if (message->fd_count == 0)
		return err_set(err, "a listener without a socket");
	if (!handover_get_listener(message, &listener, err))
		return false;
	record = &grown[handover->record_count++];
	*record = (struct handover_record){
		.role = listener.role,
		.name = strdup(listener.name),
		.fd_name = listener.fd_name ? strdup(listener.fd_name) : NULL,
		.state = listener.state,
		.fds = calloc(message->fd_count, sizeof(record->fds[0])),
	};
	if (record->name == NULL || record->fds == NULL ||
	    (listener.fd_name && record->fd_name == NULL))
		return err_no_memory(err);
	memcpy(record->fds, message->fds,
	    message->fd_count * sizeof(record->fds[0]));
	record->fd_count = message->fd_count;
	message->fd_count = 0;
	return true;
}

static void
add_tickets(struct handover *handover, struct handover_message *message)
{
	size_t len;
	const uint8_t *bytes = handover_find(message, FIELD_KEYS, &len);
	struct ticket_key_set *set = &handover->tickets;

	if (bytes && len <= sizeof(set->keys) &&
	    len % sizeof(set->keys[0]) == 0) {
		memcpy(set->keys, bytes, len);
		set->count = len / sizeof(set->keys[0]);
	}
	handover->rotate_ms = handover_number(message, FIELD_ROTATE_MS, 0);
}

static void
add_pid_file(struct handover *handover, struct handover_message *message)
{
	const char *path = find_text(message, FIELD_PATH);

	if (path == NULL || message->fd_count != 1 || handover->pid_fd >= 0)
		return;
	handover->pid_path = strdup(path);
	handover->pid_fd = message->fds[0];
	message->fd_count = 0;
}

static bool
take_message(struct handover *handover, struct handover_message *message,
    struct err *err)
{
	bool fine = true;

	switch (handover_kind_of(message)) {
	case HANDOVER_LISTENER:
		fine = add_listener(handover, message, err);
		break;
	case HANDOVER_TICKETS:
		add_tickets(handover, message);
		break;
	case HANDOVER_PID_FILE:
		add_pid_file(handover, message);
		break;
	default:
		break;
	}
	handover_close_fds(message);
	return fine;
}

bool
handover_take(struct handover *handover, struct err *err)
{
	struct handover_message message;
	enum handover_io result;
	bool fine = true, end = false;

	while (fine && !end) {
		result = handover_receive(handover->fd, &message, err);
		if (result == HANDOVER_AGAIN)
			err_set(err, "nothing came from the old process");
		else if (result == HANDOVER_CLOSED)
			err_set(err, "the old process has gone");
		fine = result == HANDOVER_DONE &&
		       take_message(handover, &message, err);
		end = fine && handover_kind_of(&message) == HANDOVER_END;
	}
	explicit_bzero(&message, sizeof(message));
	if (end && fcntl(handover->fd, F_SETFL, O_NONBLOCK) != 0)
		fine = err_set_errno(err, errno, "the upgrade's socket");
	if (!fine)
		err_prefix(err, "upgrade");
	return fine;
}

/* ---- The new process: listeners ---- */

static bool
add_admin(struct handover *handover, struct listener *listener, struct err *err)
{
	struct listener **grown = realloc(
	    handover->admin, (handover->admin_count + 1) * sizeof(grown[0]));

	if (grown == NULL) {
		listener_unref(listener);
		return err_no_memory(err);
	}
	handover->admin = grown;
	handover->admin[handover->admin_count++] = listener;
	return true;
}

static bool
add_socket(struct handover *handover, const struct handover_record *record,
    struct listener *listener, struct err *err)
{
	const struct listen_socket socket = {
		.listener = listener,
		.name = record->name,
		.fd_name = record->fd_name,
	};

	return sockets_append(&handover->sockets, &socket, err);
}

/* At most `threads` sockets a listener. */
static bool
open_record(struct handover *handover, struct handover_record *record,
    size_t threads, struct err *err)
{
	bool is_admin = record->role == HANDOVER_ADMIN, fine = true;
	size_t at, count, k;
	struct listener *listener;

	record->first = is_admin ? handover->admin_count
				 : handover->sockets.count;
	for (at = 0; fine && at < record->fd_count; at += count) {
		count = record->fd_count - at;
		if (count > threads)
			count = threads;
		listener = listener_continue(
		    &record->state, record->fds + at, count, err);
		for (k = 0; k < count; k++)
			record->fds[at + k] = -1;
		fine = listener &&
		       (is_admin ? add_admin(handover, listener, err)
				 : add_socket(handover, record, listener, err));
		record->count += fine;
	}
	return fine;
}

bool
handover_open(struct handover *handover, unsigned threads, struct err *err)
{
	struct handover_record *record;
	size_t i;

	for (i = 0; i < handover->record_count; i++) {
		record = &handover->records[i];
		if (open_record(handover, record,
			record->role == HANDOVER_ADMIN ? 1 : threads, err))
			continue;
		err_prefix(err, "upgrade");
		return false;
	}
	handover->taken = calloc(
	    handover->sockets.count + 1, sizeof(handover->taken[0]));
	return handover->taken || err_no_memory(err);
}

static bool
is_in_service(const struct generation *current, const struct listener *listener)
{
	size_t i;

	for (i = 0; i < current->sockets.count; i++)
		if (current->sockets.items[i].listener == listener)
			return true;
	for (i = 0; i < current->admin_count; i++)
		if (current->admin[i] == listener)
			return true;
	return false;
}

/* Is any listener of the record in service? */
static bool
is_kept(const struct handover *handover, const struct handover_record *record,
    const struct generation *current)
{
	const struct listener *listener;
	size_t i;

	for (i = record->first; i < record->first + record->count; i++) {
		listener = record->role == HANDOVER_ADMIN
			       ? handover->admin[i]
			       : handover->sockets.items[i].listener;
		if (is_in_service(current, listener))
			return true;
	}
	return false;
}

bool
handover_ready(struct handover *handover, const struct generation *current,
    struct err *err)
{
	struct handover_message message;
	uint8_t *kept = calloc(handover->record_count + 1, sizeof(kept[0]));
	enum handover_io result;
	size_t i;

	if (kept == NULL)
		return err_no_memory(err);
	for (i = 0; i < handover->record_count; i++)
		kept[i] = is_kept(handover, &handover->records[i], current);
	handover_begin(&message, HANDOVER_READY);
	handover_put_number(&message, FIELD_PID, (uint32_t)getpid());
	handover_put(&message, FIELD_KEPT, kept, handover->record_count);
	free(kept);
	err_set(err, "the old process has gone");
	result = handover_send(handover->fd, &message, err);
	handover->is_ready = result == HANDOVER_DONE;
	return handover->is_ready;
}

void
handover_own(const struct generation *current)
{
	size_t i;

	for (i = 0; i < current->sockets.count; i++)
		listener_set_shared(current->sockets.items[i].listener, false);
	for (i = 0; i < current->admin_count; i++)
		listener_set_shared(current->admin[i], false);
}

void
handover_free(struct handover *handover)
{
	struct handover_record *record;
	size_t i, k;

	if (handover == NULL)
		return;
	sockets_fini(&handover->sockets);
	for (i = 0; i < handover->admin_count; i++)
		listener_unref(handover->admin[i]);
	for (i = 0; i < handover->record_count; i++) {
		record = &handover->records[i];
		for (k = 0; record->fds && k < record->fd_count; k++)
			if (record->fds[k] >= 0)
				close(record->fds[k]);
		free(record->fds);
		free(record->name);
		free(record->fd_name);
	}
	free(handover->records);
	free(handover->admin);
	free(handover->taken);
	free(handover->pid_path);
	if (handover->pid_fd >= 0)
		close(handover->pid_fd);
	close(handover->fd);
	ticket_key_set_wipe(&handover->tickets);
	free(handover);
}
