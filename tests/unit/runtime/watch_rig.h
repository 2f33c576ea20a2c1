/*
 * A watch in a real loop over a scene, and every way to renew a certificate.
 * Waiting is running the loop until the call comes, at most ten seconds.  One
 * thread.
 */
#ifndef WATCH_RIG_H
#define WATCH_RIG_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/watch.h"
#include "tests/unit/runtime/watch_scene.h"

#define RIG_LIMIT_S 10.0
#define RIG_NEVER_S 3600.0
#define RIG_CALLS_MAX 8

struct log;

struct watch_rig {
	struct scene scene;
	struct ev_loop *loop;
	struct watch *watch;
	char path[2 * SCENE_PATH_MAX]; /* that is followed */
	int calls;
	char seen[RIG_CALLS_MAX][16]; /* what it held at each call */
	bool late;
};

/* Quiet for 30 ms is enough, and nothing is compared. */
void rig_open(struct watch_rig *rig);
void rig_close(struct watch_rig *rig);

/* Another watch, that waits and compares so often and logs (or NULL). */
void rig_watch(
    struct watch_rig *rig, struct log *log, double quiet_s, double compare_s);

void rig_follow(struct watch_rig *rig, const char *name);

/* Run until there were so many calls; false: fewer, or more. */
bool rig_until(struct watch_rig *rig, int calls);

/* One way to renew what current/tls.crt leads to; "new" is what it says. */
struct watch_way {
	const char *what;
	void (*change)(const struct scene *scene);
};
extern const struct watch_way watch_ways[];
extern const size_t watch_way_count;

/* current -> pod, pod/tls.crt -> ../..data/tls.crt, ..data -> ..1; and
 * follow current/tls.crt, which says "old". */
void rig_lay_out(struct watch_rig *rig);

#endif
