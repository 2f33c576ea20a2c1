/*
 * What the main process and the opener exchange: one request of a fixed size,
 * one reply of a fixed size, each with at most one descriptor (SCM_RIGHTS), over
 * a pair of SOCK_SEQPACKET sockets.  Both processes are one program, so that
 * layout and byte order are equal.
 */
#ifndef OPENER_OPENER_MESSAGE_H
#define OPENER_OPENER_MESSAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bind.h"

enum opener_kind {
	OPENER_FILE = 1,    /* path: a descriptor for reading */
	OPENER_STAT,        /* path: its status, links followed */
	OPENER_LSTAT,       /* path: its status */
	OPENER_FOLDER,      /* path: a descriptor of the folder */
	OPENER_LOG,         /* path: a descriptor for appending */
	OPENER_TCP_SOCKET,  /* addr, options: a bound socket */
	OPENER_UNIX_SOCKET, /* addr, mode: a bound socket */
	OPENER_SPAWN        /* a descriptor: the pid of the new process */
};

/* Parts that a kind does not use are zero. */
struct opener_request {
	uint32_t kind;
	uint32_t mode;
	struct addr addr;
	struct bind_options options;
	char path[PATH_MAX]; /* terminated */
};

/* Why the opener did not try. */
enum opener_refusal {
	REFUSAL_NONE,
	REFUSAL_REQUEST,     /* a malformed request */
	REFUSAL_NOT_COVERED, /* a path that the configuration does not name */
	REFUSAL_CHANGEABLE,  /* the user can redirect the path */
	REFUSAL_FILE_KIND    /* no regular file, or one with several names */
};

struct opener_reply {
	int32_t errnum; /* 0: success */
	uint32_t refusal;
	int64_t pid;
	struct stat status;
	char text[256]; /* of OPENER_SPAWN, when it fails */
};

/* Send it with this descriptor (-1: none), which stays open here. */
bool opener_send(
    int socket, const void *message, size_t size, int fd) MUST_CHECK;

/*
 * Receive a message of exactly `size` bytes; *fd is the descriptor with it, or
 * -1.  Returns its size, which may be another one (0: the peer is gone), or -1.
 */
ssize_t opener_receive(
    int socket, void *message, size_t size, int *fd) MUST_CHECK;

#endif
