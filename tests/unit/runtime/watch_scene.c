/*
 * Changing files as people do.  One thread.
 */
#include "tests/unit/runtime/watch_scene.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE "aside.tmp"

void
scene_open(struct scene *scene)
{
	char *real;

	scratch_open(&scene->scratch);
	real = realpath(scene->scratch.path, NULL);
	cr_assert_not_null(real);
	snprintf(scene->path, sizeof(scene->path), "%s", real);
	free(real);
}

void
scene_close(struct scene *scene)
{
	scratch_close(&scene->scratch);
}

const char *
scene_path(const struct scene *scene, const char *name)
{
	static char paths[8][2 * SCENE_PATH_MAX];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", scene->path, name);
	return path;
}

void
scene_folder(const struct scene *scene, const char *name)
{
	cr_assert_eq(mkdir(scene_path(scene, name), 0755), 0, "%s", name);
}

void
scene_write(const struct scene *scene, const char *name, const char *text)
{
	FILE *file = fopen(scene_path(scene, name), "w");

	cr_assert_not_null(file, "%s", name);
	fputs(text, file);
	cr_assert_eq(fclose(file), 0);
}

void
scene_rename(const struct scene *scene, const char *from, const char *to)
{
	cr_assert_eq(rename(scene_path(scene, from), scene_path(scene, to)), 0,
	    "%s", from);
}

void
scene_replace(const struct scene *scene, const char *name, const char *text)
{
	scene_write(scene, ASIDE, text);
	scene_rename(scene, ASIDE, name);
}

void
scene_link(const struct scene *scene, const char *name, const char *target)
{
	cr_assert_eq(symlink(target, scene_path(scene, ASIDE)), 0, "%s", name);
	scene_rename(scene, ASIDE, name);
}

void
scene_remove(const struct scene *scene, const char *name)
{
	cr_assert_eq(remove(scene_path(scene, name)), 0, "%s", name);
}
