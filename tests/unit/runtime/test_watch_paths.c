/*
 * Where to look: the places that count for a path, with every kind of link on
 * the way, and where the way ends.
 */
#include "runtime/watch_paths.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/runtime/watch_scene.h"

static struct scene scene;
static struct watch_places places;

static void
set_up(void)
{
	scene_open(&scene);
	scene_folder(&scene, "live");
	scene_folder(&scene, "live/x");
	scene_folder(&scene, "archive");
	scene_write(&scene, "archive/cert3.pem", "3");
	scene_link(&scene, "live/x/cert.pem", "../../archive/cert3.pem");
}

static void
tear_down(void)
{
	watch_places_fini(&places);
	scene_close(&scene);
}

TestSuite(watch_paths, .init = set_up, .fini = tear_down);

static void
add(const char *name, bool is_folder)
{
	const char *path = name[0] == '/' ? name : scene_path(&scene, name);

	cr_assert(watch_places_add(&places, path, is_folder));
	watch_places_sort(&places);
}

/* Is there this place, its folder below the scene?  "": the scene. */
static bool
has(const char *folder, const char *name)
{
	char path[2 * SCENE_PATH_MAX];
	const struct watch_place *place;

	snprintf(path, sizeof(path), "%s%s%s", scene.path, folder[0] ? "/" : "",
	    folder);
	for (size_t i = 0; i < places.count; i++) {
		place = &places.items[i];
		if (strcmp(place->folder, path) != 0)
			continue;
		if (name ? place->name && strcmp(place->name, name) == 0
			 : place->name == NULL)
			return true;
	}
	return false;
}

/* How many places have a name. */
static size_t
count_names(void)
{
	size_t count = 0;

	for (size_t i = 0; i < places.count; i++)
		count += places.items[i].name != NULL;
	return count;
}

Test(watch_paths, of_a_plain_file_are_its_name_and_the_folders_in_front)
{
	add("archive/cert3.pem", false);
	cr_expect(has("archive", "cert3.pem"));
	cr_expect(has("archive", NULL));
	cr_expect(has("", NULL));
	cr_expect_eq(count_names(), 1u);
}

Test(watch_paths, of_a_link_are_both_ends)
{
	add("live/x/cert.pem", false);
	cr_expect(has("live/x", "cert.pem"));
	cr_expect(has("archive", "cert3.pem"));
	cr_expect_eq(count_names(), 2u);
}

Test(watch_paths, have_every_link_in_front)
{
	scene_folder(&scene, "pod");
	scene_folder(&scene, "pod/..2026_11_22");
	scene_write(&scene, "pod/..2026_11_22/tls.crt", "1");
	scene_link(&scene, "pod/..data", "..2026_11_22");
	scene_link(&scene, "pod/tls.crt", "..data/tls.crt");
	scene_link(&scene, "certs", scene_path(&scene, "pod"));
	add("certs/tls.crt", false);
	cr_expect(has("", "certs"), "an absolute link to a folder");
	cr_expect(has("pod", "tls.crt"));
	cr_expect(has("pod", "..data"));
	cr_expect(has("pod/..2026_11_22", "tls.crt"));
	cr_expect_eq(count_names(), 4u);
}

Test(watch_paths, end_where_something_is_missing)
{
	static const struct {
		const char *what, *given, *folder, *name;
	} rows[] = {
		{ "the file", "archive/none", "archive", "none" },
		{ "a folder", "none/x/cert.pem", "", "none" },
		{ "a file in front", "archive/cert3.pem/x", "archive",
		    "cert3.pem" },
		{ "what a link says", "broken", "", "gone" },
	};

	scene_link(&scene, "broken", "gone/x");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		add(rows[i].given, false);
		cr_expect(
		    has(rows[i].folder, rows[i].name), "%s", rows[i].what);
	}
}

Test(watch_paths, of_links_in_a_circle_are_bounded)
{
	scene_link(&scene, "a", "b");
	scene_link(&scene, "b", "a/c");
	add("a", false);
	cr_expect(has("", "a"));
	cr_expect(has("", "b"));
	cr_expect_eq(count_names(), 2u);
}

Test(watch_paths, follow_as_many_links_as_the_kernel)
{
	char name[8], target[8];

	for (int i = 0; i < 42; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "l%d", i + 1);
		scene_link(&scene, name, target);
	}
	scene_write(&scene, "l42", "end");
	cr_expect_eq(access(scene_path(&scene, "l2"), F_OK), 0);
	cr_expect_neq(access(scene_path(&scene, "l1"), F_OK), 0);
	add("l2", false);
	cr_expect(has("", "l42"), "40 links");
	watch_places_fini(&places);
	add("l1", false);
	cr_expect_not(has("", "l42"), "41 links");
	cr_expect(has("", "l41"));
}

Test(watch_paths, understand_dots_and_slashes)
{
	scene_link(&scene, "up", "live/x/..");
	add("live/.//x/../../up///x/./../../archive/cert3.pem/", false);
	cr_expect(has("archive", "cert3.pem"));
	cr_expect(has("", "up"));
	cr_expect(has("live/x", NULL));
	cr_expect_eq(count_names(), 2u);
}

Test(watch_paths, that_are_relative_begin_in_the_current_folder)
{
	cr_assert_eq(chdir(scene_path(&scene, "live")), 0);
	cr_assert(watch_places_add(&places, "x/cert.pem", false));
	cr_assert(watch_places_add(&places, "here", false));
	cr_expect(has("live/x", "cert.pem"));
	cr_expect(has("archive", "cert3.pem"));
	cr_expect(has("live", "here"));
	cr_assert_eq(chdir("/"), 0);
}

Test(watch_paths, of_the_root_are_in_the_root)
{
	add("/nothing.pem", false);
	cr_assert_eq(places.count, 1u);
	cr_expect_str_eq(places.items[0].folder, "/");
	cr_expect_str_eq(places.items[0].name, "nothing.pem");
}

Test(watch_paths, of_a_folder_want_every_name)
{
	size_t first = 0, count;

	scene_link(&scene, "certs", "archive");
	add("certs", true);
	cr_expect(has("", "certs"));
	cr_expect(has("archive", ""));
	while (places.items[first].name == NULL ||
	       places.items[first].name[0] != '\0')
		first++;
	count = watch_places_run(&places, first);
	cr_expect(watch_places_want(&places.items[first], count, "any"));
}

Test(watch_paths, want_the_names_of_their_folder_only)
{
	size_t first = 0, count;

	add("archive/b", false);
	add("archive/d", false);
	while (places.items[first].name == NULL)
		first++;
	first--; /* of the folder itself */
	count = watch_places_run(&places, first);
	cr_expect_eq(count, 3u);
	cr_expect(watch_places_want(&places.items[first], count, "b"));
	cr_expect(watch_places_want(&places.items[first], count, "d"));
	cr_expect_not(watch_places_want(&places.items[first], count, "c"));
	cr_expect_not(watch_places_want(&places.items[first], count, ""));
}

Test(watch_paths, are_each_there_once)
{
	add("live/x/cert.pem", false);
	add("archive/cert3.pem", false);
	add("live/x/cert.pem", false);
	cr_expect_eq(count_names(), 2u);
}

Test(watch_paths, longer_than_a_path_can_be_are_nowhere)
{
	char path[PATH_MAX + 2];

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	cr_expect(watch_places_add(&places, path, false));
	cr_expect_eq(places.count, 0u);
}
