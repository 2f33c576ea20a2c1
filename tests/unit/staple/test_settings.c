/* Options as the staple thread keeps them. */
#include "staple/settings.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct staple_options none;

Test(settings, have_a_default_for_every_number)
{
	const struct staple_options *rows[] = { &none, NULL };

	for (int i = 0; i < 2; i++) {
		struct staple_settings *made = staple_settings_new(rows[i]);

		cr_assert_not_null(made);
		cr_expect_eq(made->values.method, STAPLE_METHOD_AUTO);
		cr_expect_eq(made->values.timeout_ms, 10000);
		cr_expect_eq(made->values.min_interval_s, 300);
		cr_expect_eq(made->values.max_interval_s, 43200);
		cr_expect_eq(made->values.default_lifetime_s, 86400);
		cr_expect_eq(made->values.max_response, 65536);
		cr_expect_eq(made->values.max_fetches, 32);
		staple_settings_unref(made);
	}
}

Test(settings, keep_every_number_that_is_given)
{
	struct staple_options options = { .method = STAPLE_METHOD_GET,
		.timeout_ms = 1,
		.min_interval_s = 2,
		.max_interval_s = 3,
		.default_lifetime_s = 4,
		.max_response = 5,
		.max_fetches = 6 };
	struct staple_settings *made = staple_settings_new(&options);

	cr_assert_not_null(made);
	cr_expect_eq(made->values.method, STAPLE_METHOD_GET);
	cr_expect_eq(made->values.timeout_ms, 1);
	cr_expect_eq(made->values.min_interval_s, 2);
	cr_expect_eq(made->values.max_interval_s, 3);
	cr_expect_eq(made->values.default_lifetime_s, 4);
	cr_expect_eq(made->values.max_response, 5);
	cr_expect_eq(made->values.max_fetches, 6);
	staple_settings_unref(made);
}

Test(settings, own_their_strings)
{
	char store[] = "/store", ca[] = "/ca.pem", proxy[] = "http://p:1";
	struct staple_options options = {
		.store_dir = store, .ca_file = ca, .proxy = proxy
	};
	struct staple_settings *made = staple_settings_new(&options);

	cr_assert_not_null(made);
	store[1] = ca[1] = proxy[1] = 'X';
	cr_expect_str_eq(made->values.store_dir, "/store");
	cr_expect_str_eq(made->values.ca_file, "/ca.pem");
	cr_expect_str_eq(made->values.proxy, "http://p:1");
	staple_settings_unref(made);
}

Test(settings, tell_no_proxy_from_whatever_the_environment_says)
{
	struct staple_options options = { .proxy = "" };
	struct staple_settings *silent = staple_settings_new(&none);
	struct staple_settings *direct = staple_settings_new(&options);

	cr_assert_not_null(silent);
	cr_assert_not_null(direct);
	cr_expect_null(silent->values.proxy);
	cr_expect_str_eq(direct->values.proxy, "");
	staple_settings_unref(silent);
	staple_settings_unref(direct);
}

static void
say(void *arg, const struct staple_event *event)
{
	(void)arg;
	(void)event;
}

Test(settings, keep_the_callbacks)
{
	int arg;
	struct staple_options options = { .log = say, .arg = &arg };
	struct staple_settings *made = staple_settings_new(&options);

	cr_assert_not_null(made);
	cr_expect_eq(made->values.log, say);
	cr_expect_null(made->values.on_change);
	cr_expect_eq(made->values.arg, &arg);
	staple_settings_unref(made);
}

Test(settings, live_as_long_as_somebody_refers_to_them)
{
	struct staple_settings *made = staple_settings_new(NULL);

	cr_assert_not_null(made);
	cr_expect_eq(staple_settings_ref(made), made);
	staple_settings_unref(made);
	cr_expect_eq(made->values.max_fetches, 32);
	staple_settings_unref(made);
	staple_settings_unref(NULL);
}
