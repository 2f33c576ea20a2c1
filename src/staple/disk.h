/*
 * Responses that come from the disk: the one that an earlier life has saved,
 * and the file that another tool pushes (staple_file).  Both are verified
 * exactly like bytes from the network.  Staple thread only.
 */
#ifndef STAPLE_DISK_H
#define STAPLE_DISK_H

struct staple_errand;

/* If nothing is held, take what was saved, if it is any good.  Never fatal:
 * a line in the log at most. */
void staple_disk_load(struct staple_errand *errand);

/* Look at staple_file, and judge it if it has changed, or if it was no good a
 * minute ago (a clock may have been set, a mode changed).  Ends in
 * staple_errand_answered or staple_errand_failed if it was judged. */
void staple_disk_look(struct staple_errand *errand);

/* When to look at it again: seconds after each look. */
#define STAPLE_DISK_LOOK_S 5

#endif
