/*
 * A scratch folder to be changed in the ways that people change certificates.
 * Names are below the folder; every step must succeed.  One thread.
 */
#ifndef WATCH_SCENE_H
#define WATCH_SCENE_H

#include <stddef.h>

#include "tests/support/scratch.h"

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

#endif
