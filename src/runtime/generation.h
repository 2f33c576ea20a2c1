/*
 * One configuration in force: its sockets, services and certificates as one
 * immutable counted object.  Built on the main thread (build.h); any thread may
 * hold a reference.
 */
#ifndef RUNTIME_GENERATION_H
#define RUNTIME_GENERATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"
#include "runtime/sockets.h"
#include "runtime/watch.h"
#include "staple/staple.h"
#include "tls/identity.h"

struct backend_states;
struct cert_slot;
struct handover;
struct identity;
struct inherited;
struct limit_process;
struct listener;
struct log;
struct service;
struct stapling;
struct ticket_keys;
struct tls_context;

/* What outlives every generation and is lent to each. */
struct generation_parts {
	struct log *log;
	struct limit_process *process;
	struct ticket_keys *keys;
	struct backend_states *states; /* NULL: not shared, in tests */
	struct inherited *inherited;   /* LISTEN_FDS; may be NULL */
	struct handover *handover;     /* of an upgrade; may be NULL */
	struct stapling *stapling;     /* may be NULL: nothing is stapled */
	unsigned threads;
};

/* One certificate slot, however many names show it. */
struct cert_entry {
	/* settings of the first listener or host that shows it */
	const struct config_listener *settings;
	struct cert_slot *slot;
};

/* ca_file and crl_file as they were read. */
struct ca_entry {
	const struct config_listener *settings; /* with these paths */
	struct ca_store *trust;                 /* a reference */
	struct stamp ca_stamp;
	struct stamp crl_stamp;
	bool settled;

	/* main thread only */
	enum validity_warning warned; /* the last level logged; expiry.h */
};

/* A TLS context and its key: digest and staple policy. */
struct context_entry {
	uint8_t digest[32];
	struct staple_policy policy;
	struct tls_context *context; /* a reference */
};

/* A certificate of a listener or host.  A certificate that is set by a key
 * replaces the one that was set at the same place before, whatever its file. */
struct cert_place {
	const struct config_listener *settings;
	size_t index;           /* among its keys `cert`, or in its cert_dir */
	struct cert_slot *slot; /* borrowed from `certs` */
};

/* The certificates of one listener and its hosts: the listener's own, then those
 * of its cert_dir, then each host's own, in file order. */
struct cert_list {
	struct cert_place *items;
	size_t count;
	/* cert_dir is unreadable or empty, its certificates stay */
	bool folder_kept;
};

struct generation {
	atomic_uint references;

	/* fixed at creation */
	const struct config *config;
	struct service **services; /* one per listener section */
	size_t service_count;
	struct cert_list *cert_lists; /* likewise */
	struct sockets sockets;
	struct listener **admin; /* of [admin] listen; references */
	size_t admin_count;

	/* each thing once */
	struct cert_entry *certs; /* references to the slots */
	size_t cert_count, cert_room;
	struct ca_entry *trusts;
	size_t trust_count, trust_room;
	struct context_entry *contexts;
	size_t context_count, context_room;
};

struct generation *generation_ref(struct generation *generation);
void generation_unref(struct generation *generation); /* NULL ok */

const struct config *generation_config(const struct generation *generation);

/* The listening addresses with their services. */
size_t generation_socket_count(const struct generation *generation);
const struct listen_socket *generation_socket(
    const struct generation *generation, size_t i);

/* The services, one per listener section, in file order. */
size_t generation_service_count(const struct generation *generation);
struct service *generation_service(
    const struct generation *generation, size_t i);

size_t generation_cert_count(const struct generation *generation);
const struct cert_entry *generation_cert(
    const struct generation *generation, size_t i);
bool generation_has(
    const struct generation *generation, const struct identity *identity);

/* Does any certificate wait for its staple? */
bool generation_waits(const struct generation *generation);

/* Does anything but stamps differ?  Both of one configuration. */
bool generation_differs(const struct generation *a, const struct generation *b);

/* Do the stamps differ, so that one has read files that the other has not? */
bool generation_read_more(
    const struct generation *a, const struct generation *b);

/* ---- For the building of one ---- */

/* With room for every listener; one reference.  NULL: no memory. */
struct generation *generation_new(const struct config *config) MUST_CHECK;

/* Append; takes the reference, also on failure (out of memory). */
bool generation_add_cert(struct generation *generation,
    const struct config_listener *settings, struct cert_slot *slot) MUST_CHECK;
bool generation_add_ca(
    struct generation *generation, const struct ca_entry *entry) MUST_CHECK;
bool generation_add_context(struct generation *generation,
    const struct context_entry *entry) MUST_CHECK;
bool ca_entry_has_equal_stamps(
    const struct ca_entry *a, const struct ca_entry *b);
bool cert_list_add(
    struct cert_list *list, const struct cert_place *place) MUST_CHECK;

#endif
