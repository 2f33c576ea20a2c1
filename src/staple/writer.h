/*
 * The thread that writes responses to the store, so that a slow disk delays
 * neither the staple thread nor a handshake.  It also sweeps the store
 * (staple_sweep_open) when it starts and then daily.  Its queue holds at most
 * one response per certificate, the newest.  A failed write stays queued and is
 * repeated every minute, so that a disk that was full for a while costs no
 * staple at the next restart.  The functions are called by the staple thread,
 * or by the thread that started the writer.
 */
#ifndef STAPLE_WRITER_H
#define STAPLE_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct err;
struct staple_cache;
struct staple_cert;
struct staple_claim;
struct staple_response;
struct staple_store;
struct staple_writer;

/*
 * Called on the writer thread, with no lock held, when writing begins to fail
 * (id: of the certificate; failure names the file and the remedy) and when all
 * failed writes have succeeded (failure NULL).  Each is reported once, not per
 * file.  It must not block.
 */
typedef void staple_writer_fn(void *arg, const char *id, const char *failure);

/* References store and cache.  A file is known if its certificate has an entry
 * in the cache. */
struct staple_writer *staple_writer_start(struct staple_store *store,
    struct staple_store *issuers, struct staple_cache *cache,
    staple_writer_fn *on_failure, void *arg, struct err *err) MUST_CHECK;

/*
 * Writes what is queued, ends the thread; no callback follows.  If the
 * disk hangs for two seconds, the thread is left behind with what it uses, and
 * what was not written is lost.  NULL ok.
 */
void staple_writer_stop(struct staple_writer *writer);

/*
 * Queue; takes references, and the claim (NULL ok), which is released after the
 * write, successful or not.  Replaces what is queued for that certificate.  A
 * file with the same or a newer response is left alone.  Without memory the
 * save is skipped: the staple in memory is what counts.
 */
void staple_writer_save(struct staple_writer *writer, struct staple_cert *cert,
    struct staple_response *response, struct staple_claim *claim);

/* The same for bytes that are no response (copied), in a store of their own (a
 * reference is taken). */
void staple_writer_save_bytes(struct staple_writer *writer, const char *id,
    struct staple_store *store, const unsigned char *data, size_t len);

#endif
