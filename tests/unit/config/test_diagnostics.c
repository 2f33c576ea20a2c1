/*
 * The errors of one run: all of them, in the order of the file.
 */
#include <stdlib.h>

#include "unit/config/reading.h"

Test(diagnostics, reports_all_errors_at_once_in_the_order_of_the_file)
{
	struct config_errors errors;
	const struct config *config = read_text(
	    "[listener a]\ncert = c\nfoo\nbacklog = x\n"
	    "[global]\nthreads = 999\n",
	    &errors);

	cr_assert_null(config);
	cr_assert_eq(errors.list.count, 5);
	cr_expect(strstr(errors.list.items[0], "t.ini:1: ") != NULL);
	cr_expect(strstr(errors.list.items[1], "t.ini:1: ") != NULL);
	cr_expect(strstr(errors.list.items[2], "t.ini:3: ") != NULL);
	cr_expect(strstr(errors.list.items[3], "t.ini:4: ") != NULL);
	cr_expect(strstr(errors.list.items[4], "t.ini:6: ") != NULL);
	config_errors_free(&errors);
	cr_expect_eq(errors.list.count, 0);
}

Test(diagnostics, counts_the_errors_it_does_not_show)
{
	struct config_errors errors;
	char text[4 * 150 + 1] = "";

	for (size_t i = 0; i < 150; i++)
		memcpy(text + 4 * i, "foo\n", 5);
	cr_assert_null(read_text(text, &errors));
	cr_assert_eq(errors.list.count, 101);
	cr_expect_str_eq(errors.list.items[100], "and 50 more errors");
	config_errors_free(&errors);
}
