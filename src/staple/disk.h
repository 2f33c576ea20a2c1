/*
 * Responses that come from the disk: the one that an earlier life or another
 * process has saved, and the file that another tool pushes (staple_file).  All
 * are verified exactly like bytes from the network.  Staple thread only.
 */
#ifndef STAPLE_DISK_H
#define STAPLE_DISK_H

#include <stdbool.h>

struct staple_errand;

/* If nothing is held, take what was saved, if it is any good.  Never fatal:
 * a line in the log at most. */
void staple_disk_load(struct staple_errand *errand);

/*
 * Right before a request of an attempt: does another process that shares the
 * store make it unnecessary?  true: the attempt has ended, either in
 * staple_errand_answered with a fresh response that the other one has saved,
 * or it is due again in a second, because the other one is asking (for a
 * minute at most, five seconds while nothing valid is held).  false: ask; errand->claim has been taken, if it could be.
 * Not on demand, nor about a revocation.
 */
bool staple_disk_spares(struct staple_errand *errand);

/* Look at staple_file, and judge it if it has changed, or if it was no good a
 * minute ago (a clock may have been set, a mode changed).  Ends in
 * staple_errand_answered or staple_errand_failed if it was judged. */
void staple_disk_look(struct staple_errand *errand);

/* When to look at it again: seconds after each look. */
#define STAPLE_DISK_LOOK_S 5

#endif
