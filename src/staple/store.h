/*
 * One file per certificate: store_dir/ocsp/<id>, raw DER, mode 0600, or 0660
 * where the group of the folder may write to it.  Written under a temporary
 * name, synced, renamed, the folder synced: a kill at any point leaves the old
 * or the new.  Read back distrustfully: bytes are returned, verification is the
 * caller's.  Several processes may share a folder.  What root makes belongs to
 * the owner of the folder that it is made in.  A store is immutable and
 * counted; any thread.  All of it may block for as long as the disk does.
 */
#ifndef STAPLE_STORE_H
#define STAPLE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct staple_store;

/* Makes store_dir (0700, if its parent exists) and its ocsp/ unless they are
 * there.  NULL: *err names the folder and what to do. */
struct staple_store *staple_store_open(
    const char *store_dir, struct err *err) MUST_CHECK;
/* The same for fetched issuers, in store_dir/issuer/; files are named by
 * staple_issuer_id.  The folder is made by the first write or by
 * staple_store_make_folder, so that a diagnosis makes none. */
struct staple_store *staple_store_open_issuers(
    const char *store_dir, struct err *err) MUST_CHECK;
/* false: *err names the folder and what to do. */
bool staple_store_make_folder(
    struct staple_store *store, struct err *err) MUST_CHECK;
struct staple_store *staple_store_ref(struct staple_store *store);
/* Gives a reference back.  NULL ok. */
void staple_store_close(struct staple_store *store);

struct staple_bytes {
	unsigned char *data; /* free() it; NULL: there is no such file */
	size_t len;
};

/*
 * id: 64 lower-case hex digits; anything else is refused.  Regular files only,
 * never through a symlink; at most max bytes.  true with NULL data: no file;
 * an empty one has data and len 0.  false: *err names the file and what to do;
 * nothing to free.
 */
bool staple_store_read(struct staple_store *store, const char *id, size_t max,
    struct staple_bytes *bytes, struct err *err) MUST_CHECK;

/* false: *err names the file and what to do; what is there is whole, as a rule
 * what was there before. */
bool staple_store_write(struct staple_store *store, const char *id,
    const unsigned char *data, size_t len, struct err *err) MUST_CHECK;

/* Any path (staple_file): as staple_store_read, but follows symlinks. */
bool staple_file_read(const char *path, size_t max, struct staple_bytes *bytes,
    struct err *err) MUST_CHECK;

/* What a change of the file would change; all 0: no such file. */
struct staple_stamp {
	uint64_t device, inode, size;
	int64_t modified_ns;
};
void staple_file_stamp(const char *path, struct staple_stamp *stamp);
/* The same of the file with this id, not through a symlink. */
void staple_store_stamp(
    struct staple_store *store, const char *id, struct staple_stamp *stamp);

/*
 * A claim: this process fetches and saves the response of that id, and others
 * need not.  Advisory, never waits, ends with the process.  false: another
 * one has claimed it.  true with *claim NULL: nothing can be locked here.
 */
struct staple_claim;
bool staple_store_claim(struct staple_store *store, const char *id,
    struct staple_claim **claim) MUST_CHECK;
void staple_claim_release(struct staple_claim *claim); /* NULL ok */

/* The file was used: it gets a new mtime, at most daily.  now_s: wall time. */
void staple_store_mark(
    struct staple_store *store, const char *id, int64_t now_s);

/*
 * A sweep of the folder in steps.  The file of a known id gets a new mtime once
 * it is older than a day, which shows other processes that it is in use; that
 * of another id is removed 30 days after its mtime, an issuer a year after it
 * was read last (known NULL: no id is known), a temporary file after an hour.  Any other name is left alone.
 */
typedef bool staple_known_fn(void *arg, const char *id);
struct staple_sweep;
/* References the store.  now_s: wall time.  NULL: no memory or no folder. */
struct staple_sweep *staple_sweep_open(struct staple_store *store,
    int64_t now_s, staple_known_fn *known, void *arg) MUST_CHECK;
/* At most 64 entries; false: the end. */
bool staple_sweep_step(struct staple_sweep *sweep) MUST_CHECK;
void staple_sweep_close(struct staple_sweep *sweep); /* NULL ok */

#endif
