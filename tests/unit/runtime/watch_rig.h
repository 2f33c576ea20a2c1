/*
 * A scratch folder whose files change in the ways of certificate tools, and a
 * watch in a real loop over it.  Names are below the folder; every step must
 * succeed.  Waiting is running the loop until the call comes, at most ten
 * seconds.  One thread.
 */
#ifndef WATCH_RIG_H
#define WATCH_RIG_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/watch.h"
#include "tests/support/scratch.h"

struct ev_loop;
struct log;

/* ---- Files ---- */

#define SCENE_PATH_MAX 128

struct scene {
	struct scratch scratch;
	char path[SCENE_PATH_MAX]; /* of the folder, free of links */
};

void scene_open(struct scene *scene);
void scene_close(struct scene *scene);

/* The whole path of a name.  In one of a few buffers, used in turn. */
const char *scene_path(const struct scene *scene, const char *name);

void scene_folder(const struct scene *scene, const char *name);
/* Write in place, or anew. */
void scene_write(const struct scene *scene, const char *name, const char *text);
/* Write aside and rename over. */
void scene_replace(
    const struct scene *scene, const char *name, const char *text);
/* Make a link, or swap it as ln -sfn and kubelet do: aside and rename. */
void scene_link(
    const struct scene *scene, const char *name, const char *target);
void scene_rename(const struct scene *scene, const char *from, const char *to);
void scene_remove(const struct scene *scene, const char *name);

/* ---- The watch ---- */

#define RIG_LIMIT_S 10.0
#define RIG_NEVER_S 3600.0
#define RIG_REST_S 0.25
#define RIG_CALLS_MAX 8

struct watch_rig {
	struct scene scene;
	struct ev_loop *loop;
	struct watch *watch;
	char path[2 * SCENE_PATH_MAX]; /* the followed path */
	int calls;
	char seen[RIG_CALLS_MAX][16]; /* its contents at each call */
	bool late;
};

/* A burst ends after 30 ms; stamps are not compared. */
void rig_open(struct watch_rig *rig);
void rig_close(struct watch_rig *rig);

/* Another watch with these times and this log (or NULL). */
void rig_watch(
    struct watch_rig *rig, struct log *log, double quiet_s, double compare_s);

/* Follow a file, and a folder with all in it (NULL: none). */
void rig_follow_both(
    struct watch_rig *rig, const char *name, const char *folder);
void rig_follow(struct watch_rig *rig, const char *name);

/* Run until there were so many calls; false: fewer, or more. */
bool rig_until(struct watch_rig *rig, int calls);

/* Run for RIG_REST_S, several times as long as a burst; false: there was a
 * call. */
bool rig_rests(struct watch_rig *rig);

/* One way to renew the target of current/tls.crt, to "new". */
struct watch_way {
	const char *what;
	void (*change)(const struct scene *scene);
};
extern const struct watch_way watch_ways[];
extern const size_t watch_way_count;

/* current -> pod, pod/tls.crt -> ../..data/tls.crt, ..data -> ..1; follow
 * current/tls.crt, which contains "old". */
void rig_lay_out(struct watch_rig *rig);

#endif
