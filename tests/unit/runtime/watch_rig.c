/*
 * Changing files as certificate tools do, and a watch in a real loop over them.
 * One thread.
 */
#include "tests/unit/runtime/watch_rig.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "runtime/watch.h"

/* ---- Files ---- */

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

/* ---- The watch ---- */

static void
on_change(void *arg)
{
	struct watch_rig *rig = arg;
	FILE *file = fopen(rig->path, "r");
	char *seen = rig->seen[rig->calls % RIG_CALLS_MAX];

	seen[0] = '\0';
	if (file) {
		if (fgets(seen, sizeof(rig->seen[0]), file) == NULL)
			seen[0] = '\0';
		fclose(file);
	}
	rig->calls++;
	ev_break(rig->loop, EVBREAK_ALL);
}

static void
on_limit(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct watch_rig *rig = timer->data;

	(void)events;
	rig->late = true;
	ev_break(loop, EVBREAK_ALL);
}

/* Run until there were so many calls, or for so long. */
static void
run(struct watch_rig *rig, int calls, double limit_s)
{
	struct ev_timer limit;

	rig->late = false;
	ev_now_update(rig->loop); /* it may not have run for long */
	ev_timer_init(&limit, on_limit, limit_s, 0);
	limit.data = rig;
	ev_timer_start(rig->loop, &limit);
	while (rig->calls < calls && !rig->late)
		ev_run(rig->loop, 0);
	ev_timer_stop(rig->loop, &limit);
}

bool
rig_until(struct watch_rig *rig, int calls)
{
	run(rig, calls, RIG_LIMIT_S);
	return rig->calls == calls;
}

bool
rig_rests(struct watch_rig *rig)
{
	int calls = rig->calls;

	run(rig, calls + 1, RIG_REST_S);
	return rig->calls == calls;
}

void
rig_watch(
    struct watch_rig *rig, struct log *log, double quiet_s, double compare_s)
{
	struct watch_timing timing = { quiet_s, 2.0, compare_s };

	watch_free(rig->watch);
	rig->watch = watch_new(rig->loop, log, on_change, rig, NULL);
	cr_assert_not_null(rig->watch);
	watch_set_timing(rig->watch, &timing);
}

void
rig_open(struct watch_rig *rig)
{
	*rig = (struct watch_rig){ 0 };
	scene_open(&rig->scene);
	rig->loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert_not_null(rig->loop);
	rig_watch(rig, NULL, 0.03, RIG_NEVER_S);
}

void
rig_close(struct watch_rig *rig)
{
	watch_free(rig->watch);
	ev_loop_destroy(rig->loop);
	scene_close(&rig->scene);
}

void
rig_follow_both(struct watch_rig *rig, const char *name, const char *folder)
{
	struct watch_path paths[] = { { .path = rig->path },
		{ .path = scene_path(&rig->scene, folder ? folder : ""),
		    .is_folder = true } };

	snprintf(
	    rig->path, sizeof(rig->path), "%s", scene_path(&rig->scene, name));
	paths[0].read = stamp_of(rig->path);
	paths[1].read = stamp_of(paths[1].path);
	cr_assert(watch_follow(rig->watch, paths, folder ? 2 : 1));
}

void
rig_follow(struct watch_rig *rig, const char *name)
{
	rig_follow_both(rig, name, NULL);
}

static void
write_in_place(const struct scene *scene)
{
	scene_write(scene, "pod/tls.crt", "new");
}

static void
rename_over(const struct scene *scene)
{
	scene_replace(scene, "..1/tls.crt", "new");
}

static void
swap_the_file(const struct scene *scene)
{
	scene_write(scene, "other", "new");
	scene_link(scene, "pod/tls.crt", "../other");
}

static void
swap_the_data(const struct scene *scene)
{
	scene_folder(scene, "..2");
	scene_write(scene, "..2/tls.crt", "new");
	scene_link(scene, "..data", "..2");
	scene_remove(scene, "..1/tls.crt");
	scene_remove(scene, "..1");
}

static void
swap_the_folder_in_front(const struct scene *scene)
{
	scene_folder(scene, "pod2");
	scene_write(scene, "pod2/tls.crt", "new");
	scene_link(scene, "current", "pod2");
}

static void
rename_the_folder_in_front(const struct scene *scene)
{
	scene_folder(scene, "pod2");
	scene_write(scene, "pod2/tls.crt", "new");
	scene_rename(scene, "pod", "pod1");
	scene_rename(scene, "pod2", "pod");
}

static void
put_in_a_real_file(const struct scene *scene)
{
	scene_replace(scene, "pod/tls.crt", "new");
}

const struct watch_way watch_ways[] = {
	{ "written in place", write_in_place },
	{ "renamed over", rename_over },
	{ "link of the file swapped", swap_the_file },
	{ "..data swapped", swap_the_data },
	{ "link in front swapped", swap_the_folder_in_front },
	{ "folder in front renamed", rename_the_folder_in_front },
	{ "a file instead of the link", put_in_a_real_file },
};
const size_t watch_way_count = ARRAY_LEN(watch_ways);

void
rig_lay_out(struct watch_rig *rig)
{
	scene_folder(&rig->scene, "pod");
	scene_folder(&rig->scene, "..1");
	scene_write(&rig->scene, "..1/tls.crt", "old");
	scene_link(&rig->scene, "..data", "..1");
	scene_link(&rig->scene, "pod/tls.crt", "../..data/tls.crt");
	scene_link(&rig->scene, "current", "pod");
	rig_follow(rig, "current/tls.crt");
}
