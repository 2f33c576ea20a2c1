/*
 * Names as people type them: blind to case, '-' and '_', and the nearest
 * known name when one is misspelt.  Pure functions; any thread.
 */
#ifndef CONFIG_NEAR_H
#define CONFIG_NEAR_H

#include <stdbool.h>
#include <stddef.h>

/* Is it the same name, whatever the case and the dashes? */
bool near_same(const char *a, const char *b);

/* Is `word` (blind as above) among the blank-separated words of `list`?
 * A NULL list has none. */
bool near_in(const char *list, const char *word);

/*
 * The running search for the best match of `given`: offer every candidate,
 * then look at `best` (borrowed; NULL: nothing is near enough).
 */
struct near {
	const char *given;
	const char *best;
	size_t distance;
};
void near_start(struct near *near, const char *given);
void near_offer(struct near *near, const char *candidate);

#endif
