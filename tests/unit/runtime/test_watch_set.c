/*
 * The watched files: which there are, and what differs from what was known.
 */
#include "runtime/watch_set.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/runtime/watch_scene.h"

#define FAR_NS INT64_MAX /* everything has long been settled by then */

static struct scene scene;
static struct watch_set set;

static void
set_up(void)
{
	scene_open(&scene);
	scene_folder(&scene, "dir");
	scene_write(&scene, "a", "a");
	scene_write(&scene, "dir/b", "b");
}

static void
tear_down(void)
{
	watch_set_fini(&set);
	scene_close(&scene);
}

TestSuite(watch_set, .init = set_up, .fini = tear_down);

static void
name(struct watch_set *fresh, const char *file, const char *folder)
{
	struct watch_path paths[] = { { file, false }, { folder, true } };

	cr_assert(watch_set_init(fresh, paths, NULL, 2));
}

static void
name_both(struct watch_set *fresh)
{
	name(fresh, scene_path(&scene, "a"), scene_path(&scene, "dir"));
}

/* What is in the folder as well. */
static void
expand(void)
{
	struct watch_set named;

	name_both(&named);
	cr_assert(watch_set_expand(&set, &named));
	watch_set_fini(&named);
}

static bool
differs(void)
{
	return watch_set_look(&set, false, FAR_NS).differs;
}

Test(watch_set, has_each_path_once_in_order)
{
	struct watch_path paths[] = { { "/b", false }, { "/a", false },
		{ "/b", true } };

	cr_assert(watch_set_init(&set, paths, NULL, 3));
	cr_assert_eq(set.count, 2u);
	cr_expect_str_eq(set.files[0].path, "/a");
	cr_expect_str_eq(set.files[1].path, "/b");
	cr_expect(set.files[1].is_folder);
}

Test(watch_set, finds_what_is_in_its_folders)
{
	expand();
	cr_assert_eq(set.count, 3u);
	cr_expect_str_eq(set.files[2].path, scene_path(&scene, "dir/b"));
	cr_expect(set.files[2].found);
	cr_expect_not(set.files[1].found);
}

Test(watch_set, forgets_what_has_left_its_folders)
{
	struct watch_set next;

	expand();
	scene_remove(&scene, "dir/b");
	cr_assert(watch_set_expand(&next, &set));
	cr_expect_eq(next.count, 2u);
	watch_set_fini(&next);
}

Test(watch_set, prefers_a_name_to_a_find)
{
	struct watch_path paths[] = {
		{ scene_path(&scene, "dir/"), true },
		{ scene_path(&scene, "dir/b"), false },
	};
	struct watch_set named;

	cr_assert(watch_set_init(&named, paths, NULL, 2));
	cr_assert(watch_set_expand(&set, &named));
	cr_assert_eq(set.count, 2u);
	cr_expect_not(set.files[0].found || set.files[1].found);
	watch_set_fini(&named);
}

Test(watch_set, is_the_same_if_it_names_the_same)
{
	struct watch_set other, less;

	expand();
	name_both(&other);
	name(&less, scene_path(&scene, "a"), scene_path(&scene, "a"));
	cr_expect(watch_set_same(&set, &other), "finds do not count");
	cr_expect(watch_set_same(&other, &set));
	cr_expect_not(watch_set_same(&set, &less));
	cr_expect_not(watch_set_same(&less, &set));
	watch_set_fini(&other);
	watch_set_fini(&less);
}

Test(watch_set, differs_once_for_each_change)
{
	expand();
	cr_expect_not(differs(), "nothing was known");
	cr_expect_not(differs());
	scene_replace(&scene, "a", "A");
	cr_expect(differs(), "a named file");
	cr_expect_not(differs());
	scene_replace(&scene, "dir/b", "B");
	cr_expect(differs(), "a found one");
	scene_write(&scene, "dir/new", "new");
	cr_expect(differs(), "the folder");
	cr_expect_not(differs());
}

Test(watch_set, differs_from_what_was_read)
{
	struct watch_path paths[] = { { scene_path(&scene, "a"), false } };
	struct stamp read[] = { stamp_of(paths[0].path) };

	cr_assert(watch_set_init(&set, paths, read, 1));
	cr_expect_not(differs());
	watch_set_fini(&set);
	scene_replace(&scene, "a", "A");
	cr_assert(watch_set_init(&set, paths, read, 1));
	cr_expect(differs());
}

Test(watch_set, differs_if_one_file_was_read_as_two)
{
	struct watch_path paths[] = { { scene_path(&scene, "a"), false },
		{ scene_path(&scene, "a"), false } };
	struct stamp read[2] = { stamp_of(paths[0].path) };

	read[1] = read[0];
	cr_assert(watch_set_init(&set, paths, read, 2));
	cr_expect_not(differs());
	watch_set_fini(&set);
	read[1].mtime_ns++;
	cr_assert(watch_set_init(&set, paths, read, 2));
	cr_expect(differs());
}

Test(watch_set, trusts_a_touched_file_only_if_it_was_settled)
{
	static const struct {
		const char *what;
		bool touched;
		int64_t known_ns;
		bool expect;
	} rows[] = {
		{ "touched, known when fresh", true, 0, true },
		{ "touched, known when settled", true, FAR_NS, false },
		{ "not touched, known when fresh", false, 0, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expand();
		(void)watch_set_look(&set, false, rows[i].known_ns);
		cr_expect_eq(
		    watch_set_look(&set, rows[i].touched, FAR_NS).differs,
		    rows[i].expect, "%s", rows[i].what);
		watch_set_fini(&set);
	}
}

Test(watch_set, learns_of_what_another_knows)
{
	struct watch_set other;

	expand();
	cr_expect_not(differs());
	name_both(&other);
	watch_set_learn(&other, &set, false);
	cr_expect(other.files[0].is_known && other.files[1].is_known);
	other.files[0].stamp.size = 77;
	watch_set_learn(&set, &other, false);
	cr_expect_neq(set.files[0].stamp.size, 77, "it knows better");
	watch_set_learn(&set, &other, true);
	cr_expect_eq(set.files[0].stamp.size, 77);
	watch_set_fini(&other);
}

/* As after the privileges are gone: whoever is told could not read it. */
Test(watch_set, does_not_differ_by_being_hidden)
{
	struct watch_look look;

	expand();
	cr_expect_not(differs());
	if (geteuid() == 0)
		cr_assert_eq(seteuid(65534), 0);
	else
		cr_assert_eq(chmod(scene.path, 0), 0);
	look = watch_set_look(&set, false, FAR_NS);
	cr_assert_eq(seteuid(getuid()), 0);
	cr_assert_eq(chmod(scene.path, 0700), 0);
	cr_expect_not_null(look.hidden);
	cr_expect_not(look.differs);
	look = watch_set_look(&set, false, FAR_NS);
	cr_expect_null(look.hidden);
	scene_replace(&scene, "a", "A");
	cr_expect(differs());
}
