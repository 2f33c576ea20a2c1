/*
 * Where inotify tells nothing: the comparing of stamps finds it.
 */
#include "runtime/watch.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/runtime/watch_rig.h"

static struct watch_rig rig;

static void
set_up(void)
{
	rig_open(&rig);
}

static void
tear_down(void)
{
	rig_close(&rig);
}

TestSuite(watch_compare, .init = set_up, .fini = tear_down);

Test(watch_compare, compares_where_nothing_is_told)
{
	struct rlimit none, before;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	rig_watch(&rig, NULL, 0.01, 0.02);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (size_t i = 0; i < watch_way_count; i++) {
		rig.calls = 0;
		rig_lay_out(&rig);
		watch_ways[i].change(&rig.scene);
		cr_assert(rig_until(&rig, 1), "%s", watch_ways[i].what);
		scene_close(&rig.scene);
		scene_open(&rig.scene);
	}
}

Test(watch_compare, compares_what_a_writer_never_closes)
{
	FILE *file;

	rig_watch(&rig, NULL, 0.02, 0.02);
	scene_write(&rig.scene, "cert", "old");
	rig_follow(&rig, "cert");
	file = fopen(scene_path(&rig.scene, "cert"), "w");
	cr_assert_not_null(file);
	fputs("kept open", file);
	fflush(file);
	cr_expect(rig_until(&rig, 1));
	fclose(file);
}

/* How often a line of the scene's log has this text. */
static int
count_said(const char *text)
{
	FILE *file = fopen(scene_path(&rig.scene, "log"), "r");
	char line[1024];
	int count = 0;

	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file))
		count += strstr(line, text) != NULL;
	fclose(file);
	return count;
}

/* A user namespace of its own has limits of its own; a process with threads,
 * as Criterion's, cannot make one. */
static bool
allow_one_folder(void)
{
	FILE *limit;

	if (unshare(CLONE_NEWUSER) != 0)
		return false;
	limit = fopen("/proc/sys/user/max_inotify_watches", "w");
	if (limit == NULL)
		return false;
	fputs("1", limit);
	return fclose(limit) == 0;
}

enum told { TOLD_ONCE, TOLD_OTHERWISE, NOT_POSSIBLE };

static void
change_twice(struct log *log)
{
	rig_watch(&rig, log, 0.01, 0.02);
	rig_lay_out(&rig);
	watch_ways[0].change(&rig.scene);
	cr_expect(rig_until(&rig, 1));
	scene_write(&rig.scene, "current/tls.crt", "newer");
	cr_expect(rig_until(&rig, 2));
}

/* In a process of its own. */
static enum told
tell(void)
{
	struct log_options options = { LEVEL_NOTICE, LOG_TEXT, NULL, "off" };
	struct log *log;

	if (!allow_one_folder())
		return NOT_POSSIBLE;
	log = log_new();
	options.output = scene_path(&rig.scene, "log");
	cr_assert(log_configure(log, &options, NULL));
	change_twice(log);
	log_free(log);
	return rig.calls == 2 && count_said("fs.inotify.max_user_watches") == 1
		   ? TOLD_ONCE
		   : TOLD_OTHERWISE;
}

Test(watch_compare, stands_in_for_folders_beyond_the_limit)
{
	int status = 0;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0) {
		ev_loop_fork(rig.loop);
		_exit((int)tell());
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == NOT_POSSIBLE)
		cr_skip_test("no user namespace with limits of its own");
	cr_expect_eq(WEXITSTATUS(status), TOLD_ONCE);
}
