/*
 * A file of ticket keys that a fleet shares (its format: ticket.h).  Reading
 * blocks on the disk: main thread.  A plain value; wipe it.
 */
#ifndef TLS_TICKET_FILE_H
#define TLS_TICKET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"
#include "tls/ticket.h"

struct err;

/* As its bytes stand in the file. */
struct ticket_key {
	uint8_t name[16];
	uint8_t aes[32];
	uint8_t hmac[32];
};

struct ticket_file {
	struct ticket_key keys[TICKET_KEYS_MAX];
	size_t count;
};

/*
 * All keys of the file, in its order, at least one.  false: *err names file
 * and line and says what to do.  *warning (may be NULL; "" when none): others
 * may read it (as identity_load).  Wipe in every case.
 */
bool ticket_file_read(struct ticket_file *file, const char *path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err) MUST_CHECK;

/* Cleanse. */
void ticket_file_wipe(struct ticket_file *file);

#endif
